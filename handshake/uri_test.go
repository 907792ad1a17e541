package handshake

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

const (
	unreserved = letters + digits + "-._~"
	subDelims  = "!$&'()*+,;="
)

// TestEveryByteOfUserinfo checks each byte, plain and percent-encoded (RFC
// 3986, Section 3.2.1). Control characters, including DEL, are rejected in both
// forms.
func TestEveryByteOfUserinfo(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		raw := string([]byte{c})
		if got, ok := decodeUserinfo("a" + raw); ok != (strings.IndexByte(unreserved+subDelims+":", c) >= 0) || ok && got != "a"+raw {
			t.Errorf("%q in userinfo is %q, %v", raw, got, ok)
		}
		for _, format := range []string{"%%%02x", "%%%02X"} {
			in := "a" + fmt.Sprintf(format, c) + "b"
			got, ok := decodeUserinfo(in)
			want := c >= 0x20 && c != 0x7f
			if ok != want || ok && got != "a"+raw+"b" || !ok && got != "" {
				t.Errorf("%s in userinfo is %q, %v; want %q, %v", in, got, ok, "a"+raw+"b", want)
			}
		}
	}
	for in, want := range map[string]string{"": "", "%41%42c": "ABc", "%2525": "%25", "%C3%BC": "ü", "%3a:": "::"} {
		if got, ok := decodeUserinfo(in); !ok || got != want {
			t.Errorf("%s in userinfo is %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"%", "%4", "a%", "a%4", "%4g", "%g4", "%%41", "%41%"} {
		if got, ok := decodeUserinfo(in); ok || got != "" {
			t.Errorf("%s in userinfo is %q, %v", in, got, ok)
		}
	}
}

// TestUserAndPassword checks that the first colon separates them.
func TestUserAndPassword(t *testing.T) {
	for in, want := range map[string]Userinfo{
		"u":       {"u", ""},
		"u:":      {"u", ""},
		":p":      {"", "p"},
		"u:p":     {"u", "p"},
		"u:p:q":   {"u", "p:q"},
		"u:p%3Aq": {"u", "p:q"},
		"%75:%70": {"u", "p"},
	} {
		if got, reason := parseUserinfo(in); got == nil || *got != want || reason != "" {
			t.Errorf("userinfo %s is %+v, %q; want %+v", in, got, reason, want)
		}
	}
	for in, refused := range map[string]bool{"": false, ":": false, "%3A": true, "u%3Av:p": true, "%0a": true, ":%7f": true, "u:%": true, "%:p": true} {
		if got, reason := parseUserinfo(in); got != nil || (reason != "") != refused {
			t.Errorf("userinfo %s is %+v, %q; refused should be %v", in, got, reason, refused)
		}
	}
}

// TestEveryByteOfThePathAndTheQuery checks that bytes of a URI stay and others
// are percent-encoded (RFC 3986, Sections 3.3 and 3.4).
func TestEveryByteOfThePathAndTheQuery(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		raw := string([]byte{c})
		want := raw
		if strings.IndexByte(unreserved+subDelims+":@/?", c) < 0 {
			want = fmt.Sprintf("%%%02X", c)
		}
		for _, before := range []string{"/a", "/?a", "/?a?"} {
			got, reason := resourceName(before + raw + "b")
			if c == '%' {
				if got != "" || reason == "" {
					t.Errorf("%s is requested as %q, %q", before+raw+"b", got, reason)
				}
				continue
			}
			if got != before+want+"b" || reason != "" {
				t.Errorf("%q is requested as %q, %q; want %q", before+raw+"b", got, reason, before+want+"b")
			}
		}
	}
	for in, want := range map[string]string{
		"": "/", "/": "/", "?": "/", "/?": "/", "?a": "/?a", "/a?": "/a", "/a??": "/a??", "//": "//", "/%41%zz"[:4]: "/%41", "/?%fF": "/?%fF",
	} {
		if got, reason := resourceName(in); got != want || reason != "" {
			t.Errorf("%q is requested as %q, %q; want %q", in, got, reason, want)
		}
	}
}

// TestEveryByteInAURL checks that control characters are rejected everywhere. A
// space is not a control character.
func TestEveryByteInAURL(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		_, err := ParseURL("ws://h/" + string([]byte{c}))
		control := c < 0x20 || c == 0x7f
		if refused := control || c == '#' || c == '%'; (err != nil) != refused {
			t.Errorf("%q in a URL: %v", c, err)
		}
		if err != nil && strings.Contains(err.Error(), "control") != control {
			t.Errorf("%q in a URL: %v", c, err)
		}
	}
	for _, in := range []string{"\x7fws://h/", "w\x00s://h/", "ws://h\x1f/", "ws://h/\n"} {
		if _, err := ParseURL(in); err == nil || !strings.Contains(err.Error(), "control") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestEveryByteOfAZone checks one or more unreserved characters (RFC 6874).
func TestEveryByteOfAZone(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		zone := "e" + string([]byte{c}) + "0"
		want := strings.IndexByte(unreserved, c) >= 0
		host, reason := ipv6Host("FE80::1%25" + zone)
		if want && (host != "fe80::1%"+zone || reason != "") || !want && (host != "" || reason == "") {
			t.Errorf("zone %q: %q, %q", zone, host, reason)
		}
	}
	for in, want := range map[string]string{"::1": "::1", "2001:DB8::A": "2001:db8::a", "::1%250": "::1%0", "": "", "::1%25": "", "1.2.3.4": "", "h": "", "::1%eth0": ""} {
		if host, reason := ipv6Host(in); host != want || (reason == "") != (want != "") {
			t.Errorf("IPv6 address %q: %q, %q; want %q", in, host, reason, want)
		}
	}
}

// TestEveryByteOfAHostName checks that a host is ASCII without
// percent-encoding.
func TestEveryByteOfAHostName(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		want := ""
		switch {
		case c >= 0x80 || c == '%':
			want = "ASCII"
		case strings.IndexByte(unreserved+subDelims, c) < 0:
			want = "not allowed"
		}
		for _, host := range []string{string([]byte{c}), "a" + string([]byte{c})} {
			if reason := checkHostName(host); (reason == "") != (want == "") || !strings.Contains(reason, want) {
				t.Errorf("host %q: %q, want it to say %q", host, reason, want)
			}
		}
	}
	if reason := checkHostName(""); !strings.Contains(reason, "missing") {
		t.Errorf("no host: %q", reason)
	}
}

// TestHostsAndPorts checks valid and invalid authorities of a URL.
func TestHostsAndPorts(t *testing.T) {
	for in, want := range map[string]URL{
		"h":              {Host: "h", Port: 7},
		"H.Example":      {Host: "h.example", Port: 7},
		"h:1":            {Host: "h", Port: 1},
		"[::1]":          {Host: "::1", Port: 7},
		"[::A]:65535":    {Host: "::a", Port: 65535},
		"[fe80::1%25e0]": {Host: "fe80::1%e0", Port: 7},
	} {
		u := URL{Port: 7}
		if reason := u.setHostPort(in); u != want || reason != "" {
			t.Errorf("%q is %+v, %q; want %+v", in, u, reason, want)
		}
	}
	for in, want := range map[string]string{
		"": "missing", ":1": "missing", "h:": "port", "h:0": "port", "h:65536": "port", "h:1:2": "port", "[::1": "without", "[": "without",
		"[]": "IPv6", "[]:1": "IPv6", "[::1]1": "only a port", "[::1]x:1": "only a port", "[::1]:": "port", "[::1]:0": "port", "]": "not allowed",
	} {
		u := URL{Port: 7}
		if reason := u.setHostPort(in); !strings.Contains(reason, want) || reason == "" {
			t.Errorf("%q is %+v, %q; want it to say %q", in, u, reason, want)
		}
	}
}

// TestURLsAreWrittenAsTheyAreUsed checks the Host field, the address to dial,
// and the text for a log.
func TestURLsAreWrittenAsTheyAreUsed(t *testing.T) {
	for _, tt := range []struct {
		u                     URL
		header, address, text string
	}{
		{URL{Scheme: "ws", Host: "h", Port: 80, Target: "/"}, "h", "h:80", "ws://h/"},
		{URL{Scheme: "ws", Host: "h", Port: 443, Target: "/a?b"}, "h:443", "h:443", "ws://h:443/a?b"},
		{URL{Scheme: "wss", Host: "h", Port: 443, Target: "/"}, "h", "h:443", "wss://h/"},
		{URL{Scheme: "wss", Host: "h", Port: 80, Target: "/"}, "h:80", "h:80", "wss://h:80/"},
		{URL{Scheme: "ws", Host: "::1", Port: 81, Target: "/"}, "[::1]:81", "[::1]:81", "ws://[::1]:81/"},
		{URL{Scheme: "ws", Host: ":", Port: 80, Target: "/"}, "[:]", "[:]:80", "ws://[:]/"},
		{URL{Scheme: "ws", Host: "fe80::1%a", Port: 80, Target: "/"}, "[fe80::1]", "[fe80::1%a]:80", "ws://[fe80::1%25a]/"},
		{URL{Scheme: "ws", Host: "h", Port: 80, Target: "/", User: &Userinfo{"u", "SECRET"}}, "h", "h:80", "ws://h/"},
	} {
		check.Equal(t, tt.u.HostHeader(), tt.header, "%+v has the Host", tt.u)
		check.Equal(t, tt.u.Address(), tt.address, "%+v has the address", tt.u)
		check.Equal(t, tt.u.String(), tt.text, "%+v is written", tt.u)
	}
}

// TestSecretsAreHidden checks a URL that does not parse: every part that may be
// secret is removed.
func TestSecretsAreHidden(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"h":                  "h",
		"ws://h/p":           "ws://h/p",
		"ws://h/p?S":         "ws://h/p?***",
		"ws://h/p#S":         "ws://h/p#***",
		"ws://h/p?S#S":       "ws://h/p?***",
		"?S":                 "?***",
		"#S":                 "#***",
		"ws://?S":            "ws://?***",
		"ws://S@h/p":         "ws://***@h/p",
		"ws://@h":            "ws://***@h",
		"S@h":                "***@h",
		"@h":                 "***@h",
		"@":                  "***@",
		"ws://S:S@h?S":       "ws://***@h?***",
		"ws://S:S@?S":        "ws://***@?***",
		"ws://S:S@h#S":       "ws://***@h#***",
		"ws://S@S@h":         "ws://***@h",
		"ws://S/S@h":         "ws://***@h",
		"ws://S?S@h":         "ws://***",
		"ws://S#S@h":         "ws://***",
		"?@":                 "***",
		"ws://h?S@S?S":       "ws://***",
		"S:S@h://p":          "***@h://p",
		"://S@h":             "***@h",
		"S S://h?S":          "S S://h?***",
		"mailto:S@h":         "***@h",
		"ws://S@h/p://x?S@S": "ws://***",
	} {
		check.Equal(t, redact(in), want, "redact(%q)", in)
	}
}
