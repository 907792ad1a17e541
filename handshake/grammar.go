package handshake

import (
	"strconv"
	"strings"
)

// The sets of bytes the grammar is made of, as bits of octets.
const (
	tokenByte  = 1 << iota // tchar, RFC 9110, Section 5.6.2
	valueByte              // field-content: HTAB, SP, VCHAR, obs-text; RFC 9110, Section 5.5
	targetByte             // VCHAR; which of them may stand where in a target is the resource's affair
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

// all reports whether s consists of bytes of the class; an empty s does.
func all(s string, class uint8) bool {
	for i := range len(s) {
		if octets[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// ValidToken reports whether s is a token: one or more of the characters that
// header field names, subprotocols and extensions are made of (RFC 9110,
// Section 5.6.2).
func ValidToken(s string) bool {
	return s != "" && all(s, tokenByte)
}

// ValidValue reports whether s may be sent as the value of a header field: it has
// no control character but HTAB, so no CR, LF or NUL (RFC 9110, Section 5.5).
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

// equalFold compares without regard to the case of ASCII letters only: by
// Unicode's rules the Kelvin sign would be a "k", and "websocket" has one.
func equalFold(a, b string) bool {
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

// hasPrefixFold reports whether s begins with prefix, whatever the case of ASCII letters.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFold(s[:len(prefix)], prefix)
}

func toLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// trim removes optional white space, OWS in RFC 9110, Section 5.6.3.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// maxListMembers bounds the members of a list, so that a head of small members
// does not become memory many times its size.
const maxListMembers = 128

// nextMember cuts the first member off a comma-separated list without quoted
// strings. Empty members are skipped (RFC 9110, Section 5.6.1); member is empty
// when the list is at its end.
func nextMember(list string) (member, rest string) {
	for list != "" {
		member, list, _ = strings.Cut(list, ",")
		if member = trim(member); member != "" {
			return member, list
		}
	}
	return "", ""
}

// maxQuoted bounds how much of a peer's text goes into an error, in bytes.
const maxQuoted = 80

// quote makes text of a peer fit for an error or a log line.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "..."
	}
	return strconv.Quote(s)
}
