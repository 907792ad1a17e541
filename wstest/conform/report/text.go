package report

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cut returns at most the first n bytes of s, whole characters only, with "..."
// for the rest.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// quoted returns s, which a peer may have chosen, quoted and of bounded length.
func quoted(s string) string {
	return strconv.Quote(cut(s, 100))
}

// plain returns a sentence for a terminal, of bounded length. Unprintable
// characters, which may be from the peer, are escaped.
func plain(s string) string {
	return escapeUnprintable(cut(s, 500))
}

// sentence is plain for a page: with a capital letter at its beginning and a
// period at its end.
func sentence(s string) string {
	s = plain(s)
	if s == "" {
		return ""
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[n:]
}

// sentences is sentence of each text.
func sentences(texts []string) []string {
	var all []string
	for _, s := range texts {
		all = append(all, sentence(s))
	}
	return all
}

// escapeUnprintable returns s with an escape for each character that is
// unprintable or changes the display of others.
func escapeUnprintable(s string) string {
	var b strings.Builder
	for _, r := range escapeInvalid(s) {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// escapeInvalid returns s with each octet that is not UTF-8 written as "\xff".
func escapeInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// utf8Text returns p as text, if it is UTF-8. If p is shorter than size, it may
// end inside a character, which is left out.
func utf8Text(p []byte, size int) (string, bool) {
	if size > len(p) {
		p = trimPartial(p)
	}
	return string(p), utf8.Valid(p)
}

// trimPartial returns p without the beginning of a character at its end.
func trimPartial(p []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(p); back++ {
		if start := len(p) - back; utf8.RuneStart(p[start]) {
			if !utf8.FullRune(p[start:]) {
				return p[:start]
			}
			break
		}
	}
	return p
}

// maxShort is the length of a payload in the JSON files: in characters of text,
// else in octets.
const maxShort = 64

// shortPayload returns the beginning of a payload in the suite's form: text as
// it is, other octets as hex after "0x".
func shortPayload(p []byte, size int) string {
	text, ok := utf8Text(p, size)
	if !ok {
		return "0x" + shortHex(p, size)
	}
	shown := 0
	for i := range text {
		if shown == maxShort {
			return text[:i] + " ..."
		}
		shown++
	}
	if size > len(p) {
		return text + " ..."
	}
	return text
}

// shortHex returns the beginning of p as hex.
func shortHex(p []byte, size int) string {
	shown := p[:min(len(p), maxShort)]
	text := hex.EncodeToString(shown)
	if max(size, len(p)) > len(shown) {
		text += " ..."
	}
	return text
}

// shortReason returns the reason of a Close as JSON shows it: nil for none, hex
// for invalid UTF-8.
func shortReason(reason string) any {
	switch {
	case reason == "":
		return nil
	case !utf8.ValidString(reason):
		return hex.EncodeToString([]byte(reason))
	}
	return reason
}

// grouped returns n with a comma before every three digits.
func grouped[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
