package handshake

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
)

// TestEveryByteHasItsClasses compares the character classes with their
// definitions for every byte.
func TestEveryByteHasItsClasses(t *testing.T) {
	tests := []struct {
		name string
		in   func(c byte) bool
		want string // bytes below 80
		high bool   // bytes from 80
	}{
		{"DIGIT, RFC 5234, B.1", isDigit, digits, false},
		{"HEXDIG, RFC 5234, B.1, and its small letters", isHex, digits + "ABCDEFabcdef", false},
		{"ALPHA, RFC 5234, B.1", isAlpha, letters, false},
		{"tchar, RFC 9110, 5.6.2", classOf(tokenByte), "!#$%&'*+-.^_`|~" + digits + letters, false},
		{"field-content, RFC 9110, 5.5", classOf(valueByte), "\t !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + digits + letters, true},
		{"VCHAR, RFC 5234, B.1", classOf(targetByte), "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + digits + letters, false},
		{"pchar and slash, RFC 3986, 3.3", classOf(pathByte), "-._~!$&'()*+,;=:@/" + digits + letters, false},
		{"reg-name, RFC 3986, 3.2.2", classOf(hostByte), "-._~!$&'()*+,;=" + digits + letters, false},
	}
	for _, tt := range tests {
		for i := range 256 {
			c := byte(i)
			want := strings.IndexByte(tt.want, c) >= 0 || tt.high && c >= 0x80
			check.Equal(t, tt.in(c), want, "%s: %q is in it", tt.name, c)
		}
	}
}

func classOf(class uint8) func(c byte) bool {
	return func(c byte) bool { return octets[c]&class != 0 && all(string([]byte{c}), class) }
}

// TestSmallLetters checks that only ASCII letters change case.
func TestSmallLetters(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		want := c
		if at := strings.IndexByte(letters[:26], c); at >= 0 {
			want = letters[26+at]
		}
		check.Equal(t, lower(c), want, "lower(%q)", c)
	}
	const mixed, small = "@AMZ[`amz{À\u212Aé0", "@amz[`amz{À\u212Aé0"
	check.Equal(t, toLower(mixed), small, "toLower(%q)", mixed)
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"Host", "hOST", true}, {"az", "AZ", true}, {"host", "hosts", false}, {"hosts", "host", false}, {"", "a", false},
		{"@", "`", false}, {"[", "{", false}, {"ahost", "bhost", false}, {"host-a", "host-b", false}, {"k", "\u212A", false},
	} {
		check.Equal(t, equalFold(tt.a, tt.b), tt.want, "equalFold(%q, %q)", tt.a, tt.b)
	}
}

// TestPercentEncoding checks "%" HEXDIG HEXDIG (RFC 3986, Section 2.1) at the
// start of a text.
func TestPercentEncoding(t *testing.T) {
	for s, want := range map[string]bool{
		"%00": true, "%ff": true, "%FF": true, "%aF": true, "%9A": true, "%41b": true, "%2525": true,
		"": false, "%": false, "%4": false, "41": false, "a41": false, "%%41": false, "%g0": false, "%0g": false, "%G0": false, "%0G": false,
		"%/0": false, "%0/": false, "%:0": false, "%0:": false, "%@0": false, "%0@": false, "%`0": false, "%0`": false, "% 4": false, "%4 ": false,
	} {
		check.Equal(t, isPercentEncoded(s), want, "isPercentEncoded(%q)", s)
	}
}

// TestRegName checks a non-empty reg-name (RFC 3986, Section 3.2.2).
func TestRegName(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "a.b": true, "192.0.2.1": true, "%41": true, "%41b": true, "a%41": true, "%41%42": true, "a%41b%42c": true, "-._~!$&'()*+,;=": true,
		"": false, "/a": false, "a/": false, "a:b": false, "a b": false, "a@b": false, "é": false, "%": false, "a%": false, "%4": false, "%4g": false,
		"%41/": false, "%41%": false, "%41%4": false, "%41 b": false, "[a]": false, "a\x00": false, "a\x7f": false,
	} {
		check.Equal(t, validRegName(s), want, "validRegName(%q)", s)
	}
}

// TestAuthority checks host [ ":" port ] (RFC 3986, Section 3.2) without user
// and zone.
func TestAuthority(t *testing.T) {
	for s, want := range map[string]authority{
		"h":                 {"h", 0},
		"h:":                {"h", 0},
		"h:1":               {"h", 1},
		"H.example:80":      {"H.example", 80},
		"192.0.2.1:65535":   {"192.0.2.1", 65535},
		"%41":               {"%41", 0},
		"[::1]":             {"::1", 0},
		"[::1]:":            {"::1", 0},
		"[2001:DB8::1]:443": {"2001:DB8::1", 443},
		"h:0080":            {"h", 80},
	} {
		if got, ok := parseAuthority(s); !ok || got != want {
			t.Errorf("parseAuthority(%q) = %+v, %v; want %+v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", ":", ":80", "h:0", "h:65536", "h:x", "h:80x", "h:80:80", "h: 80", "h:-1", "h:+1", "h:1_0", "u@h", "a b", "h/", "%4",
		"[", "[]", "[]:80", "[::1", "::1", "[::1]x", "[::1]80", "[::1] :80", "[::1]:0", "[::1]:x", "[::1]:65536", "[192.0.2.1]", "[h]",
		"[fe80::1%eth0]", "[fe80::1%25eth0]", "[%eth0]", "[%]", "[::1]]",
	} {
		if got, ok := parseAuthority(s); ok || got != (authority{}) {
			t.Errorf("parseAuthority(%q) = %+v, %v; want none", s, got, ok)
		}
	}
}

// TestDefaultPorts checks that only the schemes of the web have a default port.
func TestDefaultPorts(t *testing.T) {
	for scheme, want := range map[string]uint16{
		"ws": 80, "WS": 80, "http": 80, "HTTP": 80, "wss": 443, "wSs": 443, "https": 443, "HttpS": 443,
		"": 0, "w": 0, "wsss": 0, "ftp": 0, "httpx": 0, "file": 0,
	} {
		check.Equal(t, defaultPort(scheme), want, "defaultPort(%q)", scheme)
	}
}

// TestOptionalWhiteSpace checks that white space is removed at both ends only
// (RFC 9110, Section 5.6.3).
func TestOptionalWhiteSpace(t *testing.T) {
	for s, want := range map[string]string{
		"": "", " ": "", "\t": "", " \t \t": "", "a": "a", " a": "a", "a ": "a", "\ta": "a", "a\t": "a", " \ta \tb\t ": "a \tb",
		"\na": "\na", "a\r": "a\r", "\va\f": "\va\f", "\u00a0a\u00a0": "\u00a0a\u00a0",
	} {
		check.Equal(t, trim(s), want, "trim(%q)", s)
	}
}

// TestMembersOfAList checks that nextMember skips empty members (RFC 9110,
// Section 5.6.1).
func TestMembersOfAList(t *testing.T) {
	for list, want := range map[string]string{
		"": "", ",": "", " , ,\t,": "", "a": "a", "a,b": "a|b", " a , b\t,\tc ": "a|b|c", ",,a,, b,": "a|b", "a b, c": "a b|c", `"a,b"`: `"a|b"`,
	} {
		var got []string
		for rest := list; ; {
			var member string
			if member, rest = nextMember(rest); member == "" {
				if rest != "" {
					t.Errorf("nextMember leaves %q of %q at its end", rest, list)
				}
				break
			}
			got = append(got, member)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q has the members %q, want %q", list, got, want)
		}
	}
}

// TestQuotedTextIsShort checks that the quoted text of a peer is short and
// printable ASCII.
func TestQuotedTextIsShort(t *testing.T) {
	text := strings.Repeat("x", 80)
	for s, want := range map[string]string{
		"":              `""`,
		"a\r\nb\"c\x1b": `"a\r\nb\"c\x1b"`,
		text[:79]:       `"` + text[:79] + `"`,
		text:            `"` + text + `"`,
		text + "y":      `"` + text + `"...`,
		text + text:     `"` + text + `"...`,
	} {
		check.Equal(t, quote(s), want, "quote(%q)", s)
	}
}
