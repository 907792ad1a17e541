package corpus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxBytes bounds what one line may stand for, so that a slip in a repeat
// count is an error and not a gigabyte.
const maxBytes = 1 << 20

// token is one word or one Go string of a line, with the count that may
// follow it.
type token struct {
	text   string // the word, or what the string stands for
	quoted bool
	repeat int // 1 if nothing is said
}

// lex cuts a line into tokens and drops its comment.
func lex(line string) ([]token, error) {
	var tokens []token
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return tokens, nil
		}
		t := token{repeat: 1}
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("string that does not end or has a bad escape: %s", line)
			}
			t.text, _ = strconv.Unquote(q) // QuotedPrefix has checked it
			t.quoted = true
			line = line[len(q):]
		} else {
			n := wordLen(line)
			t.text, line = line[:n], line[n:]
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

// word reports whether t is the plain word w.
func (t token) word(w string) bool { return !t.quoted && t.repeat == 1 && t.text == w }

// parseBytes returns what the tokens stand for.
func parseBytes(tokens []token) ([]byte, error) {
	var b []byte
	for _, t := range tokens {
		piece := []byte(t.text)
		if !t.quoted {
			var err error
			if piece, err = hex.DecodeString(t.text); err != nil || len(piece) == 0 {
				return nil, fmt.Errorf("%q is neither hexadecimal in whole bytes nor a string", t.text)
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

// parseString returns the string that must be all that the tokens are, or ""
// if there are none.
func parseString(tokens []token) (string, error) {
	switch {
	case len(tokens) == 0:
		return "", nil
	case len(tokens) > 1 || !tokens[0].quoted:
		return "", errors.New("want one string")
	}
	return strings.Repeat(tokens[0].text, tokens[0].repeat), nil
}
