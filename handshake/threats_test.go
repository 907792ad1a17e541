package handshake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// T-D07: a head of many small fields costs no more allocations than one of few
// fields. Cookies and queries are not parsed.
func TestTinyFieldsCookiesAndQueriesCostNothing(t *testing.T) {
	out := make([]byte, 0, 1024)
	few := testing.AllocsPerRun(100, func() { accept(t, []byte(head(requestLine, requestFields...)), out[:0]) })
	for what, in := range map[string]string{
		"as many fields as there may be": head(requestLine, slices.Concat(requestFields, slices.Repeat([]string{"a:"}, 95))...),
		"many cookies":                   head(requestLine, append(requestFields, "Cookie: "+strings.Repeat("a=b; ", 10_000))...),
		"a long query":                   head("GET /chat?"+strings.Repeat("a=b&", 2000)+" HTTP/1.1", requestFields...),
	} {
		if got := testing.AllocsPerRun(100, func() { accept(t, []byte(in), out[:0]) }); got > few+1 { // one for []byte(in)
			t.Errorf("%s: %v allocations, a plain request has %v", what, got, few)
		}
	}
	refused := []byte(head(requestLine, slices.Concat(requestFields, slices.Repeat([]string{"a:"}, 10_000))...))
	if got := testing.AllocsPerRun(100, func() {
		var p handshake.RequestParser
		if _, n, err := p.Parse(refused); err == nil || n > 1000 {
			t.Errorf("%d bytes were read of fields without end: %v", n, err)
		}
	}); got > 5 {
		t.Errorf("%v allocations for a request that is refused", got)
	}
}

// T-F07: a server with a list of hosts rejects the page of an attacker's host
// name, although the page's origin equals the host.
func TestHosts(t *testing.T) {
	loopback := []string{"localhost", "127.0.0.1", "[::1]"}
	for _, c := range []struct {
		name     string
		host     string
		patterns []string
		refused  bool
	}{
		{"no patterns", "evil.example:8080", nil, false},
		{"rebinding", "evil.example:8080", loopback, true},
		{"our name as prefix", "localhost.evil.example", loopback, true},
		{"our name as suffix", "evil-localhost", loopback, true},
		{"trailing dot", "localhost.", loopback, true},
		{"another address", "127.0.0.2", loopback, true},
		{"an address in another spelling", "127.1", loopback, true},
		{"localhost", "localhost", loopback, false},
		{"localhost on any port", "LOCALHOST:8080", loopback, false},
		{"address", "127.0.0.1:8080", loopback, false},
		{"IPv6 address", "[::1]:8080", loopback, false},
		{"port", "app.example:8080", []string{"app.example:8080"}, false},
		{"another port", "app.example:8081", []string{"app.example:8080"}, true},
		{"no port", "app.example", []string{"app.example:8080"}, true},
		{"below", "a.b.app.example", []string{"*.app.example"}, false},
		{"not below", "app.example", []string{"*.app.example"}, true},
		{"not below, but like it", "evilapp.example", []string{"*.app.example"}, true},
		{"below, on a port", "a.app.example:81", []string{"*.app.example:80"}, true},
		{"a pattern that is none", "app.example", []string{"http://app.example", "", "a b"}, true},
		{"any host", "app.example:81", []string{"*"}, false},
		{"any host, on a port", "app.example:81", []string{"*:80"}, true},
		{"any letter case", "H", []string{"h"}, false},
		{"IPv6 address without brackets", "[::1]", []string{"::1"}, true},
		{"IPv6 address and port", "[::1]:1", []string{"[::1]"}, false},
		{"a wildcard alone below", "a.h", []string{"*."}, true},
		{"a malformed host, without patterns", "a b", nil, false},
		{"a malformed host", "a b", []string{"a b"}, true},
		{"any port", "[::1]:81", []string{"[::1]:*"}, false},
		{"a part of a label", "pr-42.preview.example", []string{"pr-*.preview.example"}, false},
		{"nothing for the wildcard", "pr-.preview.example", []string{"pr-*.preview.example"}, true},
		{"a label more", "pr-1.x.preview.example", []string{"pr-*.preview.example"}, true},
	} {
		r := parseRequest(t, head(requestLine, replace(requestFields, "Host", "Host: "+c.host, "Origin: http://"+c.host)...))
		want := 0
		if c.refused {
			want = 421
		}
		if err := handshake.CheckHost(r, c.patterns); status(t, err) != want {
			t.Errorf("%s: Host %q with %q: %v, want %d", c.name, c.host, c.patterns, err, want)
		}
	}

	// The target has precedence over the field (RFC 9112, Section 3.2.2).
	r := parseRequest(t, head("GET http://evil.example/ HTTP/1.1", replace(requestFields, "Host", "Host: localhost")...))
	if err := handshake.CheckHost(r, loopback); status(t, err) != 421 {
		t.Errorf("an absolute target: %v", err)
	}
}

// T-F12: applications in browsers send tokens in queries and subprotocols. No
// error repeats them.
func TestErrorsDoNotRepeatSecretsOfTheRequest(t *testing.T) {
	const secret = "c2VjcmV0/Cg=="
	with := func(lines ...string) []string { return append(slices.Clone(requestFields), lines...) }
	for _, c := range []struct {
		name, line string
		fields     []string
	}{
		{"a query in a malformed target", "GET /ws?token=" + secret + "#x HTTP/1.1", requestFields},
		{"a query behind no path", "GET ws?token=" + secret + " HTTP/1.1", requestFields},
		{"a query behind a bad authority", "GET http://a b/ws?token=" + secret + " HTTP/1.1", requestFields},
		{"a query behind a bad port", "GET http://h:0/ws?token=" + secret + " HTTP/1.1", requestFields},
		{"a query, and the wrong method", "POST /ws?token=" + secret + " HTTP/1.1", requestFields},
		{"a query, and no Host", "GET /ws?token=" + secret + " HTTP/1.1", requestFields[1:]},
		{"a subprotocol that is no token", requestLine, with("Sec-WebSocket-Protocol: bearer, " + secret)},
		{"cookies and authorization", requestLine, with("Cookie: s="+secret, "Authorization: Bearer "+secret, "Sec-WebSocket-Protocol: a b")},
	} {
		var p handshake.RequestParser
		r, _, err := p.Parse([]byte(head(c.line, c.fields...)))
		if err == nil {
			_, err = handshake.ValidateRequest(r)
		}
		if err == nil || strings.Contains(err.Error(), "c2Vjcm") {
			t.Errorf("%s: %v", c.name, err)
		}
	}

	o := sampleOffer()
	for _, o.Subprotocols = range [][]string{{"bearer", secret}, {"c2Vjcm", "c2Vjcm"}} {
		if _, err := handshake.AppendRequest(nil, o); err == nil || !strings.Contains(err.Error(), "subprotocol 2 ") || strings.Contains(err.Error(), "c2Vjcm") {
			t.Errorf("offering %q: %v", o.Subprotocols, err)
		}
	}
}

// T-H12: a request with an odd target is accepted or rejected, and its
// accessors do not fail.
func TestOddTargets(t *testing.T) {
	targets := []string{
		"/", "//", "/?", "/??", "/?&&==&", "/%", "/%zz", "/%00", "/%2e%2e/", "/../../..", "*", "?", "#", "/#", "/?#", ":", "://", "http://", "http:///",
		"http://?", "http://h", "http://h?", "http://h/?", "http://h:", "http://h:x/", "http://[", "http://[]/", "http://[::1", "http://[::1]x/", "http://@/",
		"http://h@/", "ws://h/", "wss://h", "ftp://h/", "h:80", "/?transport=websocket&EIO=4&sid=__proto__", "/constructor?__proto__[x]=1", "/" + strings.Repeat("/", 4000),
		"/?" + strings.Repeat("a[", 2000), "/\"<>\\^`{|}",
	}
	for c := range 256 {
		targets = append(targets, "/"+string([]byte{byte(c)}), string([]byte{byte(c)})+"/", "http://"+string([]byte{byte(c)})+"/")
	}
	for _, target := range targets {
		var p handshake.RequestParser
		r, _, err := p.Parse([]byte(head("GET "+target+" HTTP/1.1", requestFields...)))
		if err != nil {
			continue
		}
		if r == nil {
			t.Errorf("target %q: neither a request nor an error", target)
			continue
		}
		_, err = handshake.ValidateRequest(r)
		all := fmt.Sprint(err, handshake.CheckOrigin(r, nil), handshake.CheckHost(r, []string{"h"}), r.Path(), r.Query(), r.Host())
		if err == nil && !strings.HasPrefix(r.Path(), "/") {
			t.Errorf("target %q is served as %q: %s", target, r.Path(), all)
		}
		if code := status(t, err); code != 0 && code != 400 && code != 505 {
			t.Errorf("target %q: %v", target, err)
		}
	}
}
