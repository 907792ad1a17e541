// Package scriptline reads the lines of scripts: those of the golden corpus, and
// those of package wstest. A line consists of words, Go strings and comments, and
// both kinds of script write bytes in the same way: see Bytes.
package scriptline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// maxBytes bounds what one line may stand for, so that a slip in a repeat
// count is an error and not a gigabyte.
const maxBytes = 1 << 20

// Token is one word or one Go string of a line, with the count that may
// follow it.
type Token struct {
	Text   string // the word, or what the string stands for
	quoted bool
	repeat int // 1 if nothing is said
}

// Lex cuts a line into tokens and drops its comment, which begins with a #.
func Lex(line string) ([]Token, error) {
	var tokens []Token
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
			if err != nil || count < 1 || count > maxBytes {
				return nil, fmt.Errorf("repeat count %q is not 1 to %d", line[1:1+n], maxBytes)
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

// Word returns the plain word that args begin with, or "", and the others.
func Word(args []Token) (string, []Token) {
	if len(args) == 0 || !args[0].IsWord() {
		return "", args
	}
	return args[0].Text, args[1:]
}

// None is an error if there are args left.
func None(args []Token) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much", args[0].Text)
	}
	return nil
}

// Bytes returns what the tokens stand for: any number of hexadecimal pieces and
// Go strings, each of which may be repeated: 82 7e 0100, "é\n", 00*65536.
func Bytes(tokens []Token) ([]byte, error) {
	var b []byte
	for _, t := range tokens {
		piece := []byte(t.Text)
		if !t.quoted {
			var err error
			if piece, err = hex.DecodeString(t.Text); err != nil || len(piece) == 0 {
				return nil, fmt.Errorf("%q is neither hexadecimal in whole bytes nor a string", t.Text)
			}
		}
		if len(piece)*t.repeat > maxBytes-len(b) {
			return nil, fmt.Errorf("more than %d bytes", maxBytes)
		}
		for range t.repeat {
			b = append(b, piece...)
		}
	}
	return b, nil
}

// String returns the string that must be all that the tokens are, or "" if there
// are none.
func String(tokens []Token) (string, error) {
	switch {
	case len(tokens) == 0:
		return "", nil
	case len(tokens) > 1 || !tokens[0].quoted:
		return "", errors.New("want one string")
	}
	return strings.Repeat(tokens[0].Text, tokens[0].repeat), nil
}

// Opcode returns the type of a message, text or binary, that args begin with, and
// the others.
func Opcode(args []Token) (wire.Opcode, []Token, error) {
	w, args := Word(args)
	switch w {
	case "text":
		return wire.Text, args, nil
	case "binary":
		return wire.Binary, args, nil
	}
	return 0, args, fmt.Errorf("type %q is not text or binary", w)
}

// Code returns the status code that args begin with, and the others.
func Code(args []Token) (wire.StatusCode, []Token, error) {
	w, args := Word(args)
	n, err := strconv.Atoi(w)
	if err != nil || n < 0 {
		return 0, args, fmt.Errorf("status code %q is not a number", w)
	}
	return wire.StatusCode(n), args, nil
}
