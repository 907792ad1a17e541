package handshake_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// 9110-5.6.2-a
func TestTokenCharacters(t *testing.T) {
	const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for c := range 256 {
		s := string([]byte{byte(c)})
		check.Equal(t, handshake.ValidToken(s), strings.Contains(tokenCharacters, s), "ValidToken(%q)", s)
		check.Equal(t, handshake.ValidToken("a"+s+"b"), handshake.ValidToken(s), "ValidToken of %q inside", s)
	}
	for s, want := range map[string]bool{"v1.chat+json": true, "": false, "a/b": false, "a:b": false, "a@b": false, "é": false} {
		check.Equal(t, handshake.ValidToken(s), want, "ValidToken(%q)", s)
	}
}

// T-D17: HTAB is the only control character that a value can have.
func TestValueCharacters(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		check.Equal(t, handshake.ValidValue(s), c == '\t' || c >= ' ' && c != 0x7f, "ValidValue(%q)", s)
	}
	if !handshake.ValidValue("") {
		t.Error(`ValidValue("") = false`)
	}
}

// 6455-4.1-y: names are compared without regard to case.
func TestFieldsAreFoundByNameInAnyCase(t *testing.T) {
	h := handshake.Header{{"HOST", "h"}, {"x-a", "1"}, {"X-A", "2"}, {"sec-websocket-key", "k"}, {"X-\u212A", "3"}}
	if h.Get("Host") != "h" || h.Get("X-a") != "1" || h.Get("X-B") != "" {
		t.Errorf("Get: %q, %q, %q", h.Get("Host"), h.Get("X-a"), h.Get("X-B"))
	}
	if got := h.Values("x-A"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("Values: %q", got)
	}
	if h.Count("X-A") != 2 || h.Count("X-B") != 0 || h.Values("X-B") != nil {
		t.Errorf("Count: %d, %d; Values %q", h.Count("X-A"), h.Count("X-B"), h.Values("X-B"))
	}
	if h.Count("X-K") != 0 {
		t.Error("the Kelvin sign matched a k")
	}
}

func TestMapIsAnHTTPHeader(t *testing.T) {
	h := handshake.Header{{"sEC-wEBSOCKET-kEY", "k"}, {"x-1a--b", "1"}, {"X-1A--B", "2"}, {"_x", "3"}}
	want := http.Header{}
	for _, f := range h {
		want.Add(f.Name, f.Value)
	}
	if got := h.Map(); !reflect.DeepEqual(got, map[string][]string(want)) {
		t.Errorf("Map() = %v, want %v", got, want)
	}
	if got := (handshake.Header)(nil).Map(); !maps.EqualFunc(got, map[string][]string{}, slices.Equal) {
		t.Errorf("Map() of nothing = %v", got)
	}
}

// 9110-5.6.1-a, 6455-4.1-t, 6455-4.2.1-f, 6455-4.2.1-g
func TestListMembership(t *testing.T) {
	cases := []struct {
		rule  string
		lines []string
		want  bool
	}{
		{"alone", []string{"upgrade"}, true},
		{"any case", []string{"uPGRADE"}, true},
		{"Firefox", []string{"keep-alive, Upgrade"}, true},
		{"no white space", []string{"keep-alive,upgrade,x"}, true},
		{"empty members", []string{",, upgrade ,"}, true},
		{"tabs", []string{"a\t,\tupgrade\t"}, true},
		{"second line", []string{"keep-alive", "upgrade"}, true},
		{"longer word", []string{"upgraded, upgrade2, xupgrade"}, false},
		{"two words", []string{"upgrade upgrade"}, false},
		{"parameter", []string{"upgrade;q=1"}, false},
		{"quoted", []string{`"upgrade"`}, false},
		{"empty", []string{""}, false},
		{"commas", []string{",,,"}, false},
		{"none", nil, false},
	}
	for _, c := range cases {
		h := handshake.Header{{"Other", "upgrade"}}
		for _, line := range c.lines {
			h = append(h, handshake.Field{Name: "connection", Value: line})
		}
		check.Equal(t, h.HasToken("Connection", "Upgrade"), c.want, "%s: HasToken of %q", c.rule, c.lines)
		if h.HasToken("Connection", "") {
			t.Errorf("%s: %q has an empty member", c.rule, c.lines)
		}
	}
	h := handshake.Header{{"Upgrade", "webSoc\u212Aet"}}
	if h.HasToken("Upgrade", "websocket") {
		t.Error("the Kelvin sign matched a k")
	}
}

// linear fails a test whose cost is quadratic in its input. The inputs are so
// large that such a test would run for hours.
func linear(t *testing.T, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("%s took %v", what, d)
	}
}

// T-D06: list parsing neither recurses nor backtracks. T-D01: nor does
// trimming.
func TestListsAreReadInOnePass(t *testing.T) {
	for what, value := range map[string]string{
		"commas":            strings.Repeat(",", 8<<20),
		"commas and blanks": strings.Repeat(", \t", 4<<20),
		"inner blanks":      "a" + strings.Repeat(" ", 8<<20) + "b",
		"outer blanks":      strings.Repeat(" ", 8<<20) + "a" + strings.Repeat("\t", 8<<20),
		"members":           strings.Repeat("a,", 4<<20),
	} {
		linear(t, what, func() {
			h := handshake.Header{{"Connection", value}}
			if h.HasToken("Connection", "upgrade") {
				t.Errorf("%s: found upgrade", what)
			}
		})
	}
}

// TestNoByteIsReadBehindALoweredLimit lowers the limit in the start line and in
// a field.
func TestNoByteIsReadBehindALoweredLimit(t *testing.T) {
	for _, start := range []string{"GET /xxxxxxxxxxx", "GET / HTTP/1.1\r\nHost: h"} {
		var p handshake.RequestParser
		if _, n, err := p.Parse([]byte(start)); n != len(start) || err != nil {
			t.Fatal(n, err)
		}
		p.Limits.Bytes = 5
		if r, n, err := p.Parse([]byte("xyz")); r != nil || n != 0 || status(t, err) != 431 {
			t.Errorf("after %q: %v, n %d, error %v; want n 0 and 431", start, r, n, err)
		}
	}
}

// TestSmallestLimits checks that 1 is the smallest limit.
func TestSmallestLimits(t *testing.T) {
	p := handshake.RequestParser{Limits: handshake.Limits{Bytes: 1}}
	if r, n, err := p.Parse([]byte("GET / HTTP/1.1")); r != nil || n != 1 || status(t, err) != 431 {
		t.Errorf("Limits.Bytes = 1: %v, n %d, error %v; want n 1 and 431", r, n, err)
	}
	p = handshake.RequestParser{Limits: handshake.Limits{Fields: 1}}
	if _, n, err := p.Parse([]byte(head(requestLine, "A: 1", "B: 2"))); n != len(requestLine)+8 || status(t, err) != 431 {
		t.Errorf("Limits.Fields = 1: n %d, error %v; want 431 at the second field", n, err)
	}
}

// 6455-4.2.2-k, 6455-4.2.1-i: the hash covers the key as sent, including its
// pad bits.
func TestAcceptAnswersTheKeyAsSent(t *testing.T) {
	for key, want := range map[string]string{
		sampleKey:                  sampleAccept,
		"AQIDBAUGBwgJCgsMDQ4PEA==": "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=",
		"AQIDBAUGBwgJCgsMDQ4PEC==": "OfS0wDaT5NoxF2gqm7Zj2YtetzM=", // erratum 3150
		"x3JJHMbDL1EzLkh9GBhXDw==": "HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
	} {
		check.Equal(t, handshake.AcceptKey(key), want, "AcceptKey(%q)", key)
	}
}

// 6455-4.1-l, T-H17: each key is new, and base64 of 16 bytes.
func TestEveryAttemptHasItsOwnKey(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		key := handshake.NewKey()
		nonce, err := base64.StdEncoding.Strict().DecodeString(key)
		if err != nil || len(nonce) != 16 || len(key) != 24 || seen[key] {
			t.Fatalf("NewKey() = %q: %d bytes, %v, seen before: %v", key, len(nonce), err, seen[key])
		}
		seen[key] = true
	}
}
