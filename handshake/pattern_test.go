package handshake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// Applications in a WebView or in Electron send "Origin: file://" or
// "content://". No pattern could allow these origins, not even "*"
// (django/daphne#72, phoenixframework/phoenix#1328,
// webpack/webpack-dev-server#3821). Without a pattern they are rejected, like
// null.
func TestOriginsWithoutHost(t *testing.T) {
	for _, c := range []struct {
		origin   string
		patterns []string
		status   int
	}{
		{"file://", nil, 403},
		{"file://", []string{"null"}, 403},
		{"file://", []string{"h"}, 403},
		{"file://", []string{"content://"}, 403},
		{"file://", []string{"file://"}, 0},
		{"FILE://", []string{"file://"}, 0},
		{"file://", []string{"file://*"}, 0},
		{"file://", []string{"*"}, 0},
		{"file://server", []string{"file://"}, 403},
		{"content://", []string{"content://"}, 0},
		{"content://", []string{"*"}, 0},
		{"capacitor://localhost", []string{"capacitor://localhost"}, 0},
		{"app://.", []string{"app://."}, 0},
		{"chrome-extension://abcdef", []string{"chrome-extension://*"}, 0},
		{"moz-extension://abcdef", []string{"chrome-extension://*"}, 403},
		{"null", []string{"*", "file://", "file://*"}, 403},
		{"file:///", []string{"*"}, 403},
		{"http://", []string{"*"}, 403},
		{"https://:443", []string{"*"}, 403},
		{"data:", []string{"*"}, 403},
		{"about:blank", []string{"*"}, 403},
	} {
		check.OK(t, handshake.ValidateOrigins(c.patterns))
		if err := checkOrigin(t, "h", []string{c.origin}, c.patterns...); status(t, err) != c.status {
			t.Errorf("Origin %q with %q: %v, want %d", c.origin, c.patterns, err, c.status)
		}
	}
}

// malformedPatterns are common mistakes, each with a part of the reasons for an
// origin and for a host.
var malformedPatterns = []struct{ pattern, originReason, hostReason string }{
	{"", "empty", "host is missing"},
	{"https://app.example.com/", `no path; write "https://app.example.com"`, "no scheme"},
	{"https://app.example.com/path", `no path; write "https://app.example.com"`, "no scheme"},
	{"https://app.example.com?x", `no path; write "https://app.example.com"`, "no scheme"},
	{"app.example.com/", `no path; write "app.example.com"`, `'/' is not allowed`},
	{"file:///", "no path", "no scheme"},
	{" https://app.example.com", `" https" is not a scheme`, "no scheme"},
	{"app.example.com ", "' ' is not allowed", "' ' is not allowed"},
	{`^https://app\.example\.com$`, `"^https" is not a scheme`, "no scheme"},
	{`app\.example\.com`, `'\\' is not allowed`, `'\\' is not allowed`},
	{"(a|b).example.com", "'(' is not allowed", "'(' is not allowed"},
	{"https://bücher.example", "xn--", "no scheme"},
	{"bücher.example", "xn--", "xn--"},
	{"a.example,b.example", "list", "list"},
	{"https://", "host is missing", "no scheme"},
	{"https://:443", "host is missing", "no scheme"},
	{"*://a.example", `scheme "*" is not allowed`, "no scheme"},
	{"//a.example", "no path", "'/' is not allowed"},
	{"https://user@a.example", "user", "no scheme"},
	{"a.example:", "port must be", "port must be"},
	{"a.example:0", "port must be", "port must be"},
	{"a.example:65536", "port must be", "port must be"},
	{"a.example:80*", "port must be", "port must be"},
	{"::1", "needs brackets", "needs brackets"},
	{"[::1%eth0]", "without a zone", "without a zone"},
	{"[::1]x", "only a port", "only a port"},
	{"[a]", "IPv6", "IPv6"},
	{".example.com", "starts with a dot", "starts with a dot"},
	{"a..example.com", "empty label", "empty label"},
	{"*.", "host is missing", "host is missing"},
	{"a%41.example", "'%' is not allowed", "'%' is not allowed"},
	{"*example.com", "two labels", "two labels"},
	{"a.*.com", "two labels", "two labels"},
	{"example.*", "two labels", "two labels"},
	{"192.168.0.*", "two labels", "two labels"},
	{"*.*", "two labels", "two labels"},
	{"*a*.b.example", "one wildcard", "one wildcard"},
}

// Malformed patterns were accepted silently and noticed when no client could
// connect (spring-framework#26892, reearth/ygo#129,
// facebookincubator/SocketRocket#256). The validation and the refusal of a
// request report them.
func TestMalformedPatternsAreReported(t *testing.T) {
	validate := func(kind, pattern, reason string, err error) {
		t.Helper()
		var e *handshake.PatternError
		if !errors.As(err, &e) || e.Kind != kind || e.Pattern != pattern || !strings.Contains(e.Reason, reason) ||
			!strings.HasPrefix(err.Error(), "websocket: "+kind+" pattern ") || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s pattern %q: %v, want %q", kind, pattern, err, reason)
		}
	}
	for _, c := range malformedPatterns {
		validate("origin", c.pattern, c.originReason, handshake.ValidateOrigins([]string{"a.example", "*", "null", c.pattern}))
		validate("host", c.pattern, c.hostReason, handshake.ValidateHosts([]string{"a.example", "[::1]:80", c.pattern}))

		err := checkOrigin(t, "h", []string{"https://app.example.com"}, "b.example", c.pattern)
		if status(t, err) != 403 || !strings.Contains(err.Error(), c.originReason) {
			t.Errorf("pattern %q: %v, want %q", c.pattern, err, c.originReason)
		}
		err = handshake.CheckHost(parseRequest(t, head(requestLine, requestFields...)), []string{c.pattern})
		if status(t, err) != 421 || !strings.Contains(err.Error(), c.hostReason) {
			t.Errorf("pattern %q: %v, want %q", c.pattern, err, c.hostReason)
		}
	}
	for _, valid := range [][]string{nil, {"example.com", "*.example.com", "a_b.example.com.", "127.0.0.1:80", "[::1]"}} {
		check.OK(t, errors.Join(handshake.ValidateOrigins(valid), handshake.ValidateHosts(valid)))
	}
}

// A pattern without a port allows only the default port. The refusal of another
// port says so.
func TestRefusalNamesPatternForAnotherPort(t *testing.T) {
	err := checkOrigin(t, "h", []string{"http://localhost:5173"}, "b", "localhost", "localhost:3000")
	const hint = `matches none of 3 allowed patterns; pattern "localhost" allows another port`
	if status(t, err) != 403 || !strings.HasSuffix(err.Error(), hint) {
		t.Error(err)
	}
}

// Patterns are parsed for every request, without allocations.
func TestPatternsAllocateNothing(t *testing.T) {
	r := parseRequest(t, head(requestLine, append(requestFields, "Origin: https://pr-1.preview.example")...))
	patterns := []string{"null", "a.example", "*.b.example:*", "[::1]:*", "https://pr-*.preview.example"}
	if n := testing.AllocsPerRun(100, func() {
		check.OK(t, handshake.CheckOrigin(r, patterns))
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
