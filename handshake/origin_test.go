package handshake_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

func checkOrigin(t *testing.T, host string, origins []string, patterns ...string) error {
	t.Helper()
	fields := replace(requestFields, "Host", "Host: "+host)
	for _, o := range origins {
		fields = append(fields, "Origin: "+o)
	}
	return handshake.CheckOrigin(parseRequest(t, head(requestLine, fields...)), patterns)
}

// 6455-10.2-a, 6455-4.2.2-c, T-F01, T-F03, T-F04, T-F05
func TestSameOriginIsTheDefault(t *testing.T) {
	cases := []struct {
		rule, host, origin string
		status             int
	}{
		{"same host", "h", "http://h", 0},
		{"TLS ends before us", "h", "https://h", 0},
		{"default port written out", "h", "http://h:80", 0},
		{"default port written out in Host", "h:443", "https://h", 0},
		{"empty port in Host", "h:", "https://h", 0},
		{"same port", "h:8080", "http://h:8080", 0},
		{"case", "GOOD.example", "https://good.EXAMPLE", 0},
		{"case of the scheme", "h", "HTTP://h", 0},
		{"ws as scheme", "h", "ws://h", 0},
		{"IPv6", "[::1]:81", "http://[::1]:81", 0},
		{"localhost", "localhost:3000", "http://localhost:3000", 0},

		{"T-F01 another site", "h", "https://evil.example", 403},
		{"another port", "h", "http://h:81", 403},
		{"another port in Host", "h:81", "http://h", 403},
		{"port of the other scheme", "h:80", "https://h", 403},
		{"T-F04 our name as prefix", "good.example", "http://good.example.evil.com", 403},
		{"T-F04 our name as suffix", "good.example", "http://evilgood.example", 403},
		{"T-F04 subdomain", "good.example", "http://sub.good.example", 403},
		{"T-F04 parent domain", "sub.good.example", "http://good.example", 403},
		{"T-F04 any byte for the dot", "good.example", "http://goodxexample", 403},
		{"T-F04 trailing dot", "good.example", "http://good.example.", 403},
		{"T-F04 userinfo", "good.example", "http://good.example@evil.example", 403},
		{"T-F04 our name as userinfo", "good.example", "http://evil.example@good.example", 403},
		{"T-F04 our name as path", "h", "http://evil/h", 403},
		{"T-F04 path", "h", "http://h/", 403},
		{"T-F04 query", "h", "http://h?", 403},
		{"T-F04 fragment", "h", "http://h#", 403},
		{"T-F04 Kelvin sign", "kit.example", "http://\u212Ait.example", 403},
		{"T-F03 IP address", "h", "http://1.2.3.4", 403},
		{"T-F03 localhost", "h", "http://localhost", 403},
		{"T-F03 IPv6", "h", "http://[::1]", 403},
		{"T-F03 IPv6 text without brackets", "[::1]", "http://::1", 403},
		{"T-F05 null", "null", "null", 403},
		{"T-F05 empty", "h", "", 403},
		{"T-F05 no scheme", "h", "h", 403},
		{"T-F05 scheme alone", "h", "http://", 403},
		{"T-F05 one slash", "h", "http:/h", 403},
		{"T-F05 space", "h", "http://a b", 403},
		{"T-F05 list", "h", "http://h http://h", 403},
		{"T-F05 empty port", "h", "http://h:", 403},
		{"T-F05 port zero", "h", "http://h:0", 403},
		{"T-F05 port too high", "h", "http://h:65536", 403},
		{"T-F05 bad scheme", "h", "ht_tp://h", 403},
		{"T-F05 scheme of digits", "h", "1://h", 403},
		{"T-F05 wildcard", "h", "*", 403},
		{"T-F05 wildcard host", "h", "http://*", 403},
		{"another scheme", "h", "chrome-extension://h", 403},
		{"file", "h", "file://", 403},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			err := checkOrigin(t, c.host, []string{c.origin})
			if got := status(t, err); got != c.status {
				t.Errorf("Host %q, Origin %q: status %d, want %d: %v", c.host, c.origin, got, c.status, err)
			}
		})
	}
	check.OKf(t, checkOrigin(t, "h", nil), "6455-4.2.1-k no Origin")
	if err := checkOrigin(t, "h", []string{"http://h", "http://h"}, "*"); status(t, err) != 400 {
		t.Errorf("T-F05 two Origins: %v", err)
	}
}

// 6455-4.2.1-d: the authority of an absolute target has precedence.
func TestOriginIsComparedWithTheAuthorityOfTheTarget(t *testing.T) {
	r := parseRequest(t, head("GET http://h:81/ HTTP/1.1", append(requestFields, "Origin: http://h:81")...))
	check.OK(t, handshake.CheckOrigin(r, nil))
	r = parseRequest(t, head("GET http://h/ HTTP/1.1", append(requestFields, "Origin: http://server.example.com")...))
	if err := handshake.CheckOrigin(r, nil); status(t, err) != 403 {
		t.Errorf("the Host field was compared: %v", err)
	}
}

// A wildcard as the port, within a label and as the whole host was accepted and
// matched nothing (reearth/ygo#129, getpaseo/paseo#4312). A matching name
// belongs to the owner of the rest of the pattern (T-F04).
func TestOriginPatterns(t *testing.T) {
	cases := []struct {
		pattern string
		allowed []string
		refused []string
	}{
		{"example.com",
			[]string{"http://example.com", "https://EXAMPLE.com", "https://example.com:443", "wss://example.com"},
			[]string{"https://example.com:8443", "http://sub.example.com", "http://example.com.evil", "http://evilexample.com", "app://example.com", "null"}},
		{"Example.com:8080",
			[]string{"http://example.com:8080", "https://example.com:8080"},
			[]string{"http://example.com", "http://example.com:80"}},
		{"example.com:443",
			[]string{"https://example.com"},
			[]string{"http://example.com"}},
		{"https://example.com",
			[]string{"https://example.com", "HTTPS://example.com:443"},
			[]string{"http://example.com", "http://example.com:443", "wss://example.com"}},
		{"*.example.com",
			[]string{"http://a.example.com", "https://a.b.Example.com"},
			[]string{"http://example.com", "http://.example.com", "http://aexample.com", "http://a.example.com:81", "http://a.example.com.evil"}},
		{"https://*.example.com:8443",
			[]string{"https://a.example.com:8443"},
			[]string{"https://a.example.com", "http://a.example.com:8443", "https://example.com:8443"}},
		{"[::1]:3000",
			[]string{"http://[::1]:3000"},
			[]string{"http://[::1]", "http://[::2]:3000"}},
		{"chrome-extension://abcdef",
			[]string{"chrome-extension://abcdef"},
			[]string{"chrome-extension://abcdeg", "http://abcdef", "chrome-extension://abcdef:1"}},
		{"null",
			[]string{"null"},
			[]string{"http://null.example", "NULL"}},
		{"*",
			[]string{"http://evil.example", "app://x:1", "http://[::1]"},
			[]string{"null", "", "http://a b", "http://a/", "ht_tp://h", "1://h", "://h", "h", "http:h", "http://h:", "http://", "http://[::1", "é://h"}},
		{"localhost:*",
			[]string{"http://localhost:5173", "http://localhost", "https://localhost:1"},
			[]string{"http://localhost.evil.example:5173", "app://localhost:1"}},
		{"http://localhost:*",
			[]string{"http://localhost:5173", "http://LOCALHOST"},
			[]string{"https://localhost:5173"}},
		{"[::1]:*",
			[]string{"http://[::1]:81", "http://[::1]"},
			[]string{"http://[::2]:81"}},
		{"https://pr-*.preview.example",
			[]string{"https://pr-42.preview.example", "https://PR-a-b.preview.EXAMPLE"},
			[]string{"https://pr-.preview.example", "https://pr-1.evil.preview.example", "https://apr-1.preview.example", "https://pr-1.preview.example:81",
				"http://pr-1.preview.example", "https://pr-1.preview.example.evil", "https://preview.example"}},
		{"*-app.preview.example",
			[]string{"https://x-app.preview.example"},
			[]string{"https://-app.preview.example", "https://x-app-.preview.example", "https://x.y-app.preview.example"}},
		{"a*z.b.example",
			[]string{"http://abz.b.example"},
			[]string{"http://az.b.example", "http://a.z.b.example"}},
		{"app.*.b.example",
			[]string{"http://app.x.b.example"},
			[]string{"http://app.x.y.b.example", "http://app.b.example"}},
		{"*.pr-*.b.example",
			[]string{"http://a.pr-1.b.example", "http://a.b.pr-1.b.example"},
			[]string{"http://pr-1.b.example", "http://.pr-1.b.example"}},
		{"https://*",
			[]string{"https://a", "https://[::1]"},
			[]string{"http://a", "https://a:81", "app://a"}},
		{"*:8080",
			[]string{"http://a:8080", "https://b:8080"},
			[]string{"http://a", "app://a:8080"}},
		{"app://.",
			[]string{"app://."},
			[]string{"app://", "app://a", "app://a.", "app://.a"}},
		{"localhost",
			[]string{"http://localhost"},
			[]string{"http://.localhost", "http://localhost."}},
		{"", nil, []string{"http://example.com", "null", ""}},
		{"https://", nil, []string{"https://example.com"}},
		{"example.com/", nil, []string{"http://example.com"}},
		{"*example.com", nil, []string{"http://example.com", "http://aexample.com"}},
		{"a.*.com", nil, []string{"http://a.b.com"}},
		{"*.", nil, []string{"http://a.", "http://a.b"}},
	}
	for _, c := range cases {
		for _, o := range c.allowed {
			check.OKf(t, checkOrigin(t, "h", []string{o}, "other.example", c.pattern), "pattern %q, Origin %q", c.pattern, o)
		}
		if c.pattern != "null" {
			c.refused = append(c.refused, "null")
		}
		for _, o := range c.refused {
			if err := checkOrigin(t, "h", []string{o}, "other.example", c.pattern); status(t, err) != 403 {
				t.Errorf("pattern %q, Origin %q: %v, want 403", c.pattern, o, err)
			}
		}
		if err := handshake.ValidateOrigins([]string{c.pattern}); (err == nil) != (c.allowed != nil) {
			t.Errorf("pattern %q: %v", c.pattern, err)
		}
		check.OKf(t, checkOrigin(t, "h", []string{"http://h"}, c.pattern), "pattern %q refuses the same origin", c.pattern)
	}
}

func TestRefusedOriginsAreExplained(t *testing.T) {
	err := checkOrigin(t, "h:81", []string{"http://evil.example"}, "a", "b")
	const want = `websocket: handshake refused with 403 Forbidden: Origin "http://evil.example" is not the origin of host "h:81" and matches none of 2 allowed patterns`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	err = checkOrigin(t, "h", []string{"http://" + strings.Repeat("\xff", 50000)})
	if status(t, err) != 403 || len(err.Error()) > 500 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}
