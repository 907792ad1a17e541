package main

import (
	"strings"
	"unicode/utf8"
)

// key is one key of a terminal, or a paste.
type key struct {
	code keyCode
	text string // of keyText
}

// keyCode is the meaning of a key for an editor of lines.
type keyCode uint8

const (
	keyUnknown keyCode = iota // to be ignored
	keyText                   // a character, or pasted text
	keyEnter
	keyLeft
	keyRight
	keyUp
	keyDown
	keyHome
	keyEnd
	keyWordLeft
	keyWordRight
	keyBackspace
	keyDelete
	keyEndOfInput // Ctrl-D: it deletes, or ends the input if the line is empty
	keyKillToEnd
	keyKillToStart
	keyKillWordBefore  // up to a space
	keyKillLettersLeft // up to a character that is neither letter nor digit
	keyKillLettersRight
	keyYank
	keyTranspose
	keyClearScreen
	keySearch
	keyCancel
	keyTab
)

// controlKeys are the meanings of control characters, those of readline.
var controlKeys = map[byte]keyCode{
	'\r': keyEnter, '\n': keyEnter, '\t': keyTab, 0x7f: keyBackspace,
	ctrl('A'): keyHome, ctrl('B'): keyLeft, ctrl('D'): keyEndOfInput, ctrl('E'): keyEnd, ctrl('F'): keyRight,
	ctrl('G'): keyCancel, ctrl('H'): keyBackspace, ctrl('K'): keyKillToEnd, ctrl('L'): keyClearScreen,
	ctrl('N'): keyDown, ctrl('P'): keyUp, ctrl('R'): keySearch, ctrl('T'): keyTranspose, ctrl('U'): keyKillToStart,
	ctrl('W'): keyKillWordBefore, ctrl('Y'): keyYank,
}

// ctrl returns the control character of a letter.
func ctrl(letter byte) byte { return letter & 0x1f }

// altKeys are the meanings of characters after ESC.
var altKeys = map[byte]keyCode{
	'b': keyWordLeft, 'f': keyWordRight, 'd': keyKillLettersRight, 0x7f: keyKillLettersLeft, ctrl('H'): keyKillLettersLeft,
}

// sequenceKeys are the meanings of control sequences, without "ESC [" in front.
// With parameters such as "1;5" they are those of xterm, with "~" those of a
// VT220, and the lower-case letters those of rxvt.
var sequenceKeys = map[string]keyCode{
	"A": keyUp, "B": keyDown, "C": keyRight, "D": keyLeft, "H": keyHome, "F": keyEnd,
	"1~": keyHome, "7~": keyHome, "4~": keyEnd, "8~": keyEnd, "3~": keyDelete,
	"1;5C": keyWordRight, "1;3C": keyWordRight, "5C": keyWordRight, "c": keyWordRight,
	"1;5D": keyWordLeft, "1;3D": keyWordLeft, "5D": keyWordLeft, "d": keyWordLeft,
	"3;5~": keyKillLettersRight, "3;3~": keyKillLettersRight,
}

const (
	pasteBegin = "200~" // after "ESC ["
	pasteEnd   = "\x1b[201~"
)

// maxSequence is the number of bytes that a control sequence may have. The rest
// of a longer one is ignored.
const maxSequence = 32

// keyDecoder decodes the bytes of a terminal to keys. It never returns a byte
// of a control sequence as text.
type keyDecoder struct {
	state   decoderState
	pending []byte // an unfinished character, sequence or paste
}

// decoderState is the kind of the unfinished bytes.
type decoderState uint8

const (
	betweenKeys  decoderState = iota
	inCharacter               // UTF-8
	afterEscape               // ESC
	inSequence                // ESC [
	afterSS3                  // ESC O
	inConsoleKey              // ESC [ [, of the Linux console
	inPaste                   // ESC [ 200 ~
)

// decode decodes the next byte. ok reports whether it completes a key.
func (d *keyDecoder) decode(b byte) (k key, ok bool) {
	switch d.state {
	case inCharacter:
		if b&0xc0 == 0x80 {
			return d.continueCharacter(b)
		}
		d.reset(betweenKeys) // the character was not UTF-8
	case afterEscape:
		return d.escaped(b)
	case inSequence:
		return d.continueSequence(b)
	case afterSS3:
		d.reset(betweenKeys)
		return known(sequenceKeys[string(rune(b))])
	case inConsoleKey:
		d.reset(betweenKeys)
		return known(keyUnknown)
	case inPaste:
		return d.continuePaste(b)
	}
	switch {
	case b == 0x1b:
		d.reset(afterEscape)
		return key{}, false
	case b < ' ' || b == 0x7f:
		return known(controlKeys[b])
	case b < utf8.RuneSelf:
		return key{keyText, string(rune(b))}, true
	}
	d.reset(inCharacter)
	return d.continueCharacter(b)
}

func known(code keyCode) (key, bool) { return key{code: code}, true }

// reset begins another state.
func (d *keyDecoder) reset(state decoderState) {
	d.state, d.pending = state, d.pending[:0]
}

func (d *keyDecoder) continueCharacter(b byte) (key, bool) {
	d.pending = append(d.pending, b)
	if !utf8.FullRune(d.pending) {
		return key{}, false
	}
	text := string(d.pending)
	d.reset(betweenKeys)
	if !utf8.ValidString(text) {
		return known(keyUnknown)
	}
	return key{keyText, text}, true
}

// escaped decodes the byte after ESC.
func (d *keyDecoder) escaped(b byte) (key, bool) {
	switch {
	case b == '[':
		d.reset(inSequence)
		return key{}, false
	case b == 'O':
		d.reset(afterSS3)
		return key{}, false
	case b == 0x1b: // a key that the Alt key makes of an arrow, or ESC twice
		return key{}, false
	case b == '\r' || b == '\n':
		d.reset(betweenKeys)
		return key{keyText, "\n"}, true
	case b >= utf8.RuneSelf:
		d.reset(inCharacter)
		return d.continueCharacter(b)
	}
	d.reset(betweenKeys)
	return known(altKeys[b])
}

// continueSequence decodes a byte of a control sequence (ECMA-48, Section 5.4):
// parameters up to 0x3f and then a final byte.
func (d *keyDecoder) continueSequence(b byte) (key, bool) {
	switch {
	case b < ' ' || b >= 0x7f: // the sequence was cut off
		d.reset(betweenKeys)
		return d.decode(b)
	case b < '@':
		if len(d.pending) < maxSequence {
			d.pending = append(d.pending, b)
		}
		return key{}, false
	case b == '[' && len(d.pending) == 0:
		d.reset(inConsoleKey)
		return key{}, false
	}
	sequence := string(d.pending) + string(rune(b))
	if sequence == pasteBegin {
		d.reset(inPaste)
		return key{}, false
	}
	d.reset(betweenKeys)
	return known(sequenceKeys[sequence])
}

func (d *keyDecoder) continuePaste(b byte) (key, bool) {
	d.pending = append(d.pending, b)
	if b != '~' || !strings.HasSuffix(string(d.pending[max(0, len(d.pending)-len(pasteEnd)):]), pasteEnd) {
		return key{}, false
	}
	text := string(d.pending[:len(d.pending)-len(pasteEnd)])
	d.reset(betweenKeys)
	d.pending = nil // it may be large
	return key{keyText, pasted(text)}, true
}

// pasted returns pasted text with the line ends of a message, and without bytes
// that are not UTF-8. Terminals send a line end as CR.
func pasted(text string) string {
	return strings.ToValidUTF8(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "")
}
