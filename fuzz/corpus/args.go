package corpus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// maxLineBytes is the most bytes that one line may expand to. It turns a typing
// mistake in a repeat count into an error.
const maxLineBytes = 1 << 20

// A Token is one word or one Go string of a line, with its repeat count.
type Token struct {
	Text   string // the word, or the string unquoted
	quoted bool
	repeat int // 1 without a count
}

// Args are the tokens of a line, or the last of them. The scripts of this
// package and those of package wstest consist of such lines.
type Args []Token

// Lex splits a line into tokens and drops its comment, which begins with a #.
func Lex(line string) (Args, error) {
	var tokens Args
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return tokens, nil
		}
		t := Token{repeat: 1}
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("string that does not end or has a bad escape: %s", line)
			}
			t.Text, _ = strconv.Unquote(q) // QuotedPrefix has checked it
			t.quoted = true
			line = line[len(q):]
		} else {
			n := wordLen(line)
			t.Text, line = line[:n], line[n:]
		}
		if strings.HasPrefix(line, "*") {
			n := wordLen(line[1:])
			count, err := strconv.Atoi(line[1 : 1+n])
			if err != nil || count < 1 || count > maxLineBytes {
				return nil, fmt.Errorf("repeat count %q is not 1 to %d", line[1:1+n], maxLineBytes)
			}
			t.repeat, line = count, line[1+n:]
		}
		tokens = append(tokens, t)
	}
}

// wordLen returns the length of the word that s begins with.
func wordLen(s string) int {
	if n := strings.IndexAny(s, " \t\"#*"); n >= 0 {
		return n
	}
	return len(s)
}

// IsWord reports whether t is a plain word.
func (t Token) IsWord() bool { return !t.quoted && t.repeat == 1 }

// Is reports whether t is the plain word w.
func (t Token) Is(w string) bool { return t.IsWord() && t.Text == w }

// Word returns the plain word that a begins with, or "", and the other tokens.
func (a Args) Word() (string, Args) {
	if len(a) == 0 || !a[0].IsWord() {
		return "", a
	}
	return a[0].Text, a[1:]
}

// None returns an error if a has a token.
func (a Args) None() error {
	if len(a) > 0 {
		return fmt.Errorf("%q is too much", a[0].Text)
	}
	return nil
}

// Bytes returns the bytes that the tokens denote: any number of hexadecimal
// pieces and Go strings, each of which may be repeated: 82 7e 0100, "é\n",
// 00*65536.
func (a Args) Bytes() ([]byte, error) {
	var b []byte
	for _, t := range a {
		piece := []byte(t.Text)
		if !t.quoted {
			var err error
			if piece, err = hex.DecodeString(t.Text); err != nil || len(piece) == 0 {
				return nil, fmt.Errorf("%q is neither hexadecimal in whole bytes nor a string", t.Text)
			}
		}
		if len(piece)*t.repeat > maxLineBytes-len(b) {
			return nil, fmt.Errorf("more than %d bytes", maxLineBytes)
		}
		for range t.repeat {
			b = append(b, piece...)
		}
	}
	return b, nil
}

// Text returns the one string that a consists of, or "" if a is empty.
func (a Args) Text() (string, error) {
	switch {
	case len(a) == 0:
		return "", nil
	case len(a) > 1 || !a[0].quoted:
		return "", errors.New("want one string")
	}
	return strings.Repeat(a[0].Text, a[0].repeat), nil
}

// Opcode returns the message type, text or binary, that a begins with, and the
// other tokens.
func (a Args) Opcode() (wire.Opcode, Args, error) {
	w, rest := a.Word()
	switch w {
	case "text":
		return wire.Text, rest, nil
	case "binary":
		return wire.Binary, rest, nil
	}
	return 0, rest, fmt.Errorf("type %q is not text or binary", w)
}

// Code returns the status code that a begins with, and the other tokens.
func (a Args) Code() (wire.StatusCode, Args, error) {
	w, rest := a.Word()
	n, err := strconv.Atoi(w)
	if err != nil || n < 0 {
		return 0, rest, fmt.Errorf("status code %q is not a number", w)
	}
	return wire.StatusCode(n), rest, nil
}
