package handshake

import (
	"strings"

	"github.com/fibersock/fibersock/internal/texts"
)

// The character classes of the grammar, as bits of octets.
const (
	tokenByte  = 1 << iota // tchar, RFC 9110, Section 5.6.2
	valueByte              // field-content: HTAB, SP, VCHAR, obs-text; RFC 9110, Section 5.5
	targetByte             // VCHAR; the structure of a target is not checked
	pathByte               // pchar and "/"; RFC 3986, Section 3.3
	hostByte               // reg-name without pct-encoded; RFC 3986, Section 3.2.2
)

var octets = classify()

func classify() (set [256]uint8) {
	const (
		alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		unreserved   = alphanumeric + "-._~"
		subDelims    = "!$&'()*+,;="
	)
	mark := func(bytes string, class uint8) {
		for i := range len(bytes) {
			set[bytes[i]] |= class
		}
	}
	mark(alphanumeric+"!#$%&'*+-.^_`|~", tokenByte)
	mark(unreserved+subDelims+":@/", pathByte)
	mark(unreserved+subDelims, hostByte)
	for c := 0x21; c <= 0x7e; c++ {
		set[c] |= targetByte | valueByte
	}
	for c := 0x80; c <= 0xff; c++ {
		set[c] |= valueByte
	}
	mark(" \t", valueByte)
	return set
}

// all reports whether each byte of s is in the class. It is true for an empty
// s.
//
//go:noinline
func all(s string, class uint8) bool {
	for i := range len(s) {
		if octets[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// ValidToken reports whether s is a token of RFC 9110, Section 5.6.2: the
// syntax of header field names, subprotocols and extensions.
//
//go:noinline
func ValidToken(s string) bool {
	return s != "" && all(s, tokenByte)
}

// ValidValue reports whether s can be sent as the value of a header field: its
// only control character is HTAB, so it has no CR, LF or NUL (RFC 9110, Section
// 5.5).
func ValidValue(s string) bool {
	return all(s, valueByte)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'f'
}

func isAlpha(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// equalFold reports whether a and b are equal without regard to the case of
// ASCII letters. Unicode case folding would equate the Kelvin sign with the "k"
// of "websocket".
//
//go:noinline
func equalFold(a, b string) bool {
	if a == b { // as most peers write it
		return true
	}
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// hasPrefixFold reports whether s starts with prefix, without regard to the
// case of ASCII letters.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFold(s[:len(prefix)], prefix)
}

func toLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

// trim removes optional white space from both ends of s (RFC 9110, Section
// 5.6.3).
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// maxListMembers is the limit for the members of a list. It keeps a head of
// many small members from growing to a multiple of its size in memory.
const maxListMembers = 128

// nextMember splits a comma-separated list without quoted strings into its
// first member and the rest. It skips empty members (RFC 9110, Section 5.6.1).
// At the end of the list member is empty.
//
//go:noinline
func nextMember(list string) (member, rest string) {
	for list != "" {
		member, list, _ = strings.Cut(list, ",")
		if member = trim(member); member != "" {
			return member, list
		}
	}
	return "", ""
}

// maxQuoted is the limit for the text of a peer in an error, in bytes.
const maxQuoted = 80

// quote returns the text of a peer for an error or a log line.
func quote(s string) string { return texts.Quote(s, maxQuoted) }
