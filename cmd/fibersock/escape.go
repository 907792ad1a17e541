package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escape returns a peer's text in a form that a terminal shows and does not
// execute: control characters (ESC and its 8-bit relatives, CR, LF),
// characters that change the direction of writing, invisible ones, and bytes
// that are not UTF-8 become \n, \r, \x1b or \u202e. Tabs stay, and so do the
// joiners that emoji and some scripts are written with.
//
// A backslash is not escaped, so the form is not reversible.
func escape(s string) string {
	first := firstHarmful(s)
	if first == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for i := first; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r):
			b.WriteString(s[i : i+size])
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

func firstHarmful(s string) int {
	for i, r := range s {
		if !harmless(r) || r == utf8.RuneError {
			return i
		}
	}
	return len(s)
}

func harmless(r rune) bool {
	const zeroWidthNonJoiner = '\u200c'
	switch r {
	case '\t', zeroWidthNonJoiner, zeroWidthJoiner:
		return true
	}
	return unicode.IsGraphic(r)
}
