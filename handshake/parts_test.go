package handshake

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// TestEveryByteOfAKey checks base64 of 16 bytes, with padding only at the end
// (RFC 6455, Section 4.1, and RFC 4648, Section 4).
func TestEveryByteOfAKey(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	for at := range len(key) {
		for i := range 256 {
			c := byte(i)
			changed := key[:at] + string([]byte{c}) + key[at+1:]
			want := strings.IndexByte(letters+digits+"+/", c) >= 0
			if at >= 22 {
				want = c == '='
			}
			check.Equal(t, validKey(changed), want, "validKey(%q)", changed)
		}
	}
	for _, bad := range []string{"", "==", key[1:], key[:23], key + "=", "A" + key, strings.Repeat("=", 24), key[:20] + "====" /* 15 bytes */} {
		if validKey(bad) {
			t.Errorf("validKey(%q) = true", bad)
		}
	}
}

// TestEveryByteOfAScheme checks the syntax of RFC 3986, Section 3.1: a letter,
// then letters, digits, "+", "-" and ".".
func TestEveryByteOfAScheme(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		first := strings.IndexByte(letters, c) >= 0
		later := first || strings.IndexByte(digits+"+-.", c) >= 0
		if s := string([]byte{c}); validScheme(s) != first || validScheme(s+"a") != first || validScheme("a"+s) != later || validScheme("a"+s+"b") != later {
			t.Errorf("%q begins a scheme: %v, is in one: %v; want %v, %v", c, validScheme(s), validScheme("a"+s), first, later)
		}
	}
	if validScheme("") {
		t.Error("an empty scheme is accepted")
	}
}

// TestTargetsInAllForms checks origin-form, absolute-form, and other targets
// (RFC 9112, Section 3.2).
func TestTargetsInAllForms(t *testing.T) {
	for _, tt := range []struct{ target, path, query, host string }{
		{"/", "/", "", "field"},
		{"/a/b?c=d", "/a/b", "c=d", "field"},
		{"/a?b?c", "/a", "b?c", "field"},
		{"/?", "/", "", "field"},
		{"/a://b", "/a://b", "", "field"},
		{"ws://h", "/", "", "h"},
		{"ws://h/", "/", "", "h"},
		{"http://h:1/a?b", "/a", "b", "h:1"},
		{"https://h?a/b", "/", "a/b", "h"},
		{"WSS://h/a?b/c?d", "/a", "b/c?d", "h"},
		{"http:///a", "/a", "", ""},
		{"ftp://h/a?b", "ftp://h/a", "b", "field"},
		{"*", "*", "", "field"},
		{"", "", "", "field"},
		{"http:/h/a", "http:/h/a", "", "field"},
	} {
		r := &Request{Target: tt.target, Header: Header{{"Host", "field"}}}
		if r.Path() != tt.path || r.Query() != tt.query || r.Host() != tt.host {
			t.Errorf("%q: path %q, query %q, host %q; want %q, %q, %q", tt.target, r.Path(), r.Query(), r.Host(), tt.path, tt.query, tt.host)
		}
	}
}

// TestStatusTexts compares the texts with those of net/http, which has an older
// one for 414.
func TestStatusTexts(t *testing.T) {
	known := []int{301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 408, 410, 414, 417, 421, 426, 429, 431, 500, 501, 502, 503, 504, 505}
	texts := map[int]string{}
	for _, status := range known {
		texts[status] = http.StatusText(status)
	}
	texts[414] = "URI Too Long"
	for status := 300; status < 600; status++ {
		want, ok := texts[status]
		if !ok {
			want = "Handshake Refused"
		}
		check.Equal(t, statusText(status), want, "status %d is named", status)
	}
}

// TestSubprotocolsOfARequest checks lists over several lines, up to 128
// members, and the selection: one of the client's subprotocols, in the client's
// order, or none (6455-4.2.2-f, 6455-4.2.2-g).
func TestSubprotocolsOfARequest(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
		ok    bool
	}{
		{nil, "", true},
		{[]string{"a"}, "a", true},
		{[]string{"a, b", "c"}, "a|b|c", true},
		{[]string{"", "a,,"}, "a", true},
		{[]string{strings.Repeat("a,", 128)}, strings.Repeat("a|", 127) + "a", true},
		{[]string{strings.Repeat("a,", 128), "a"}, "", false},
		{[]string{""}, "", false},
		{[]string{",", " "}, "", false},
		{[]string{"a", "b c"}, "", false},
		{[]string{"a/b"}, "", false},
	} {
		h := Header{{"Other", "x y"}}
		for _, line := range tt.lines {
			h = append(h, Field{"sec-websocket-protocol", line})
		}
		list, reason := h.parseSubprotocols()
		if strings.Join(list, "|") != tt.want || (reason == "") != tt.ok {
			t.Errorf("%.40q: %q, %q; want %.40q, %v", tt.lines, list, reason, tt.want, tt.ok)
		}
	}
	for _, tt := range []struct {
		offered, supported string
		want               string
	}{
		{"a b", "b a", "a"}, {"a b", "b", "b"}, {"a", "A", ""}, {"a", "", ""}, {"", "a", ""}, {"c b a", "x a b", "b"},
	} {
		if got := SelectSubprotocol(strings.Fields(tt.offered), strings.Fields(tt.supported)); got != tt.want {
			t.Errorf("of %q with %q supported %q is selected, want %q", tt.offered, tt.supported, got, tt.want)
		}
	}
}

// TestPlacesInAHeadAreNamed checks the names for errors.
func TestPlacesInAHeadAreNamed(t *testing.T) {
	for p, want := range map[place]string{
		atStart: "head", inMethod: "method", inTarget: "request target", inRequestVersion: "HTTP version",
		inStatusLine: "status line", afterStatus: "status line", inReason: "reason phrase", startLineFeed: "head",
		lineStart: "header field name", inName: "header field name", inValue: "header field value",
		valueLineFeed: "head", lastLineFeed: "head", headDone: "head",
	} {
		check.Equal(t, p.String(), want, "place %d is named", p)
	}
}
