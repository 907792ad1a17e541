package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
)

// Each request differs from a valid one in one point. All are refused, and no
// byte after them is answered: a proxy may believe in a tunnel now (T-E01,
// T-E02), and a client in HTTP (6455-4.2.1-a, 9112-9.6-a, 6455-7.2.2-a). A
// second request is not answered either if the first does not upgrade (T-B14).
var refusedRequests = []struct {
	name     string
	old, new string // the valid request has old
	status   int
	fields   []string // of the response
	plain    bool     // no request for WebSocket, and not reported
}{
	{name: "POST (6455-4.2.1-b)", old: "GET ", new: "POST ", status: 405, fields: []string{"Allow: GET"}},
	{name: "get (6455-4.2.1-b)", old: "GET ", new: "get ", status: 405, fields: []string{"Allow: GET"}},
	{name: "HTTP/1.0 (6455-4.2.1-c, 9110-7.8-a)", old: "HTTP/1.1", new: "HTTP/1.0", status: 505},
	{name: "an HTTP/2 preface (8441-5-g)", old: "GET / HTTP/1.1\r\nHost: server.example\r\nUpgrade: websocket\r\n", new: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, plain: true},
	{name: "no HTTP at all", old: "GET / HTTP/1.1", new: "HELO", status: 400},
	{name: "no Host (6455-4.2.1-e, 9112-3.2-a, T-D05)", old: "Host: server.example\r\n", new: "", status: 400},
	{name: "two Hosts (6455-4.2.1-e, 9112-3.2-a)", old: "Host: server.example\r\n", new: "Host: server.example\r\nHost: server.example\r\n", status: 400},
	{name: "an empty Host (6455-4.2.1-e)", old: "Host: server.example", new: "Host:", status: 400},
	{name: "no Upgrade (6455-4.2.1-f, T-D05)", old: "Upgrade: websocket\r\n", new: "", status: 426, fields: []string{"Upgrade: websocket", "Sec-WebSocket-Version: 13"}},
	{name: "another Upgrade (6455-4.2.1-f, 9110-7.8-c)", old: "Upgrade: websocket", new: "Upgrade: h2c", status: 426, fields: []string{"Upgrade: websocket"}},
	{name: "no Connection (6455-4.2.1-g, 9110-7.8-b, T-D05)", old: "Connection: Upgrade\r\n", new: "", status: 400},
	{name: "another Connection (6455-4.2.1-g)", old: "Connection: Upgrade", new: "Connection: Upgraded", status: 400},
	{name: "neither Upgrade nor Connection, in an old version (T-D16)", old: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13", new: "Sec-WebSocket-Version: 7", status: 426},
	{name: "no key (6455-4.2.1-h, T-D05)", old: "Sec-WebSocket-Key: " + sampleKey + "\r\n", new: "", status: 400},
	{name: "a short key (6455-4.2.1-h)", old: sampleKey, new: "AAAA", status: 400},
	{name: "two keys (6455-11.3.1-a)", old: "Sec-WebSocket-Version", new: "Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version", status: 400},
	{name: "no version (6455-4.2.1-j, T-A05)", old: "Sec-WebSocket-Version: 13\r\n", new: "", status: 426, fields: []string{"Sec-WebSocket-Version: 13"}},
	{name: "another version (6455-4.2.2-d, T-E02)", old: "Version: 13", new: "Version: 1337", status: 426, fields: []string{"Connection: close, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"}},
	{name: "a malformed subprotocol (6455-4.2.1-l)", old: "\r\n\r\n", new: "\r\nSec-WebSocket-Protocol: a b\r\n\r\n", status: 400},
	{name: "a malformed extension (6455-4.2.1-m)", old: "\r\n\r\n", new: "\r\nSec-WebSocket-Extensions: ;=\r\n\r\n", status: 400},
	{name: "a body (9110-7.8-f, T-D14)", old: "\r\n\r\n", new: "\r\nContent-Length: 6\r\n\r\n\x89\x80\x01\x02\x03\x04", status: 400},
	{name: "a chunked body (9110-7.8-f, 9112-6.3-a)", old: "\r\n\r\n", new: "\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n", status: 400},
	{name: "Expect (9110-7.8-e)", old: "\r\n\r\n", new: "\r\nExpect: 100-continue\r\n\r\n", status: 417},
	{name: "a fragment in the target (T-D12)", old: "GET /", new: "GET /#x", status: 400},
	{name: "white space before a colon (9112-5.1-a, T-D15)", old: "Upgrade: ", new: "Upgrade : ", status: 400},
	{name: "a folded line (9112-5.2-a)", old: "Connection: Upgrade", new: "Connection: a,\r\n Upgrade", status: 400},
	{name: "a bare CR (9112-2.2-a)", old: "\r\n\r\n", new: "\r\nX: a\rb\r\n\r\n", status: 400},
	{name: "a long request line (9112-3-a)", old: "GET /", new: "GET /" + strings.Repeat("a", 9<<10), status: 414},
	{name: "large header fields (9112-3-a, T-D04)", old: "\r\n\r\n", new: "\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", status: 431},
	{name: "many header fields (T-D04)", old: "\r\n\r\n", new: strings.Repeat("\r\nX: a", 101) + "\r\n\r\n", status: 431},
	{name: "another origin (6455-4.2.2-c, 6455-10.2-a, WHATWG-1, T-F01)", old: "\r\n\r\n", new: "\r\nOrigin: https://evil.example\r\nCookie: session=1\r\n\r\n", status: 403},
	{name: "the null origin (T-F05)", old: "\r\n\r\n", new: "\r\nOrigin: null\r\n\r\n", status: 403},
	{name: "two origins (T-F05)", old: "\r\n\r\n", new: "\r\nOrigin: http://server.example\r\nOrigin: http://server.example\r\n\r\n", status: 400},
}

func TestInvalidRequestIsRefusedAndTheRestNotAnswered(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		for _, tt := range refusedRequests {
			t.Run(tt.name, func(t *testing.T) {
				bad := strings.Replace(request("/"), tt.old, tt.new, 1)
				p := s.ask(t, bad, request("/"), text("Hello"))
				checkRefused(t, p, tt.status, tt.fields...)
				if tt.plain {
					if errs := s.log.take(); len(errs) > 0 {
						t.Errorf("reported %q", errs)
					}
					return
				}
				refused := takeOne[*server.RefusedError](t, s.log)
				if refused == nil {
					return
				}
				var why *handshake.Error
				if refused.RemoteAddr.String() != p.nc.LocalAddr().String() || !errors.As(refused, &why) || why.Status != tt.status {
					t.Errorf("reported %v of %v", refused, refused.RemoteAddr)
				}
			})
		}
		rec.wantNothing()
	})
}

// checkRefused reads a refusal, and the end of the connection.
func checkRefused(t *testing.T, p *peer, status int, fields ...string) {
	t.Helper()
	all, err := p.rest()
	if err != nil {
		t.Errorf("the answer ends with %v", err)
	}
	head, body, found := bytes.Cut(all, []byte("\r\n\r\n"))
	if !found || !bytes.HasPrefix(head, fmt.Appendf(nil, "HTTP/1.1 %d ", status)) {
		t.Fatalf("answered with %q, want status %d", all, status)
	}
	fields = append(fields, "Connection: close", "Content-Type: text/plain", "X-Content-Type-Options: nosniff", fmt.Sprintf("Content-Length: %d", len(body)))
	for _, field := range fields {
		if !bytes.Contains(head, []byte("\r\n"+field)) {
			t.Errorf("no %s in %q", field, head)
		}
	}
	if bytes.Contains(body, []byte("HTTP/1.1 ")) || bytes.ContainsAny(body, "<>") || bytes.Contains(body, []byte{0x81}) || bytes.Contains(body, []byte{0x8a}) { // T-D19
		t.Errorf("the bytes after the request are answered, or the body contains the request: %q", body)
	}
}

// A server without a handler for a path refuses it (6455-4.2.2-e). Paths are
// compared as sent. The handler may send at once (6455-4.2.2-l).
func TestPathsHaveTheirHandlers(t *testing.T) {
	named := func(name string) *server.Handler {
		return &server.Handler{Open: func(c *server.Conn) { c.SendText(name) }}
	}
	handlers := map[string]*server.Handler{"/a": named("a"), "/b": named("b"), "/nil": nil}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, fallback := range []bool{false, true} {
			s := &server.Server{Handlers: handlers}
			if fallback {
				s.Handler = *named("other")
			}
			r := start(t, s)
			for _, tt := range []struct{ target, want string }{
				{"/a", "a"}, {"/b?x=/a", "b"}, {"http://server.example/a", "a"}, // 6455-4.2.1-d
				{"/", "other"}, {"/a/", "other"}, {"/A", "other"}, {"/%61", "other"}, {"/nil", ""},
			} {
				t.Run(fmt.Sprint(tt.target, " ", fallback), func(t *testing.T) {
					if tt.want == "" || tt.want == "other" && !fallback {
						p := r.ask(t, request(tt.target))
						checkRefused(t, p, 404)
						return
					}
					r.openAs(t, tt.target).want(fmt.Sprintf("text %q", tt.want))
				})
			}
		}
	})
}

// Authorize returns the refusal that replaces the 101 response (6455-4.2.2-b,
// 6455-10.5-a, T-D20).
func TestAuthorizeRefuses(t *testing.T) {
	challenge := map[string][]string{"WWW-Authenticate": {`Basic realm="x"`}}
	elsewhere := map[string][]string{"Location": {"https://server.example/login"}}
	tests := []struct {
		name   string
		err    error
		status int
		fields []string
	}{
		{"401 with a challenge", &handshake.Error{Status: 401, Header: challenge}, 401, []string{`WWW-Authenticate: Basic realm="x"`}},
		{"302 to another place", &handshake.Error{Status: 302, Header: elsewhere}, 302, []string{"Location: https://server.example/login"}},
		{"a wrapped error", fmt.Errorf("no room: %w", &handshake.Error{Status: 429}), 429, nil},
		{"any other error", errors.New("<secret>"), 403, nil},
		{"a status that is no refusal (T-E03)", &handshake.Error{Status: 101}, 500, nil},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s, rec := recorded(t, start, &server.Server{Authorize: func(*handshake.Request, *handshake.ServerAnswer) error { return tt.err }})
				p := s.ask(t, request("/"), text("Hello"))
				checkRefused(t, p, tt.status, tt.fields...)
				takeOne[*server.RefusedError](t, s.log)
				rec.wantNothing()
			})
		}
	})
}

// A response that cannot be sent is replaced by 500 before its first byte, and
// reported.
func TestAnswerThatCannotBeSentBecomes500(t *testing.T) {
	tests := []struct {
		name   string
		answer func(a *handshake.ServerAnswer)
		check  func(err error) bool
	}{
		{"a header value with a line end (6455-4.2.2-o, T-D17, T-D18)",
			func(a *handshake.ServerAnswer) { a.Header = map[string][]string{"X": {"a\r\nY: b"}} }, isA[*handshake.FieldError]},
		{"a field of the handshake's own (6455-4.2.2-o)",
			func(a *handshake.ServerAnswer) { a.Header = map[string][]string{"Sec-Websocket-Accept": {"x"}} }, isA[*handshake.FieldError]},
		{"a subprotocol that was not offered (6455-4.2.2-f)",
			func(a *handshake.ServerAnswer) { a.Subprotocol = "soap" }, func(err error) bool { return strings.Contains(err.Error(), `"soap"`) }},
		{"a panic (T-H10)", func(*handshake.ServerAnswer) { panic("<secret>") }, isA[*server.PanicError]},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s, rec := recorded(t, start, &server.Server{Authorize: func(_ *handshake.Request, a *handshake.ServerAnswer) error {
					tt.answer(a)
					return nil
				}})
				p := s.ask(t, request("/", "Sec-WebSocket-Protocol: chat"), text("Hello"))
				checkRefused(t, p, 500)
				errs := s.log.take()
				if len(errs) != 2 || !tt.check(errs[0]) || !isA[*server.RefusedError](errs[1]) {
					t.Errorf("reported %q", errs)
				}
				rec.wantNothing()
			})
		}
	})
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// The default policy admits the same origin. Patterns admit others
// (6455-4.2.2-c, 6455-10.2-a, WHATWG-2, T-F01, T-F03, T-F04).
func TestOriginPolicy(t *testing.T) {
	tests := []struct {
		origin   string
		patterns []string
		accepted bool
	}{
		{"http://server.example", nil, true},
		{"https://server.example", nil, true},
		{"http://server.example:8080", nil, false},
		{"http://server.example.evil.example", nil, false},
		{"http://127.0.0.1", nil, false},
		{"http://app.example", []string{"*.example", "other.test"}, true},
		{"http://app.example", []string{"other.test"}, false},
		{"http://app.example", []string{"https://app.example"}, false},
		{"http://app.example", []string{"*"}, true},
		{"null", []string{"*"}, false},
		{"null", []string{"null"}, true},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(fmt.Sprint(tt.origin, tt.patterns), func(t *testing.T) {
				p := start(t, &server.Server{Origins: tt.patterns}).ask(t, request("/", "Origin: "+tt.origin))
				if tt.accepted {
					p.wantStatus(101)
					return
				}
				checkRefused(t, p, 403)
			})
		}
	})
}

// The opening handshake is not decoded as UTF-8. Fields whose value is more
// than octets must be ASCII, and are refused otherwise, for valid and invalid
// UTF-8 (6455-8.1-g).
func TestOpeningHandshakeThatMustBeASCII(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Subprotocols: []string{"ü", "\xff"}})
		for _, notASCII := range []string{"ü", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82"} {
			for name, tt := range map[string]struct {
				request string
				status  int
			}{
				"method":      {strings.Replace(request("/"), "GET", "G"+notASCII, 1), 400},
				"target":      {request("/" + notASCII), 400},
				"field name":  {request("/", "X-"+notASCII+": x"), 400},
				"Host":        {strings.Replace(request("/"), "server.example", notASCII, 1), 400},
				"Upgrade":     {strings.Replace(request("/"), "websocket", "websocket"+notASCII, 1), 426},
				"Connection":  {strings.Replace(request("/"), ": Upgrade", ": Upgrade"+notASCII, 1), 400},
				"key":         {strings.Replace(request("/"), sampleKey, notASCII+sampleKey[len(notASCII):], 1), 400},
				"version":     {strings.Replace(request("/"), "13", "13"+notASCII, 1), 426},
				"subprotocol": {request("/", "Sec-WebSocket-Protocol: "+notASCII), 400},
				"extension":   {request("/", "Sec-WebSocket-Extensions: "+notASCII), 400},
				"parameter":   {request("/", `Sec-WebSocket-Extensions: a; b="`+notASCII+`"`), 400},
				"Origin":      {request("/", "Origin: http://"+notASCII), 403},
			} {
				t.Run(fmt.Sprintf("%s %q", name, notASCII), func(t *testing.T) {
					p := s.ask(t, tt.request)
					checkRefused(t, p, tt.status)
				})
			}
			t.Run(fmt.Sprintf("any other field is octets %q", notASCII), func(t *testing.T) {
				s, rec := recorded(t, start, &server.Server{})
				s.openAs(t, "/%ff", "X: "+notASCII)
				if c := rec.conn(); c.Header().Get("X") != notASCII || c.Path() != "/%ff" {
					t.Errorf("the field became %q, the path %q", c.Header().Get("X"), c.Path())
				}
			})
		}
	})
}

// The fields that proxies write into requests, and any client can write, do not
// change the client's address or the server's own origin (6455-10.1-a).
func TestForwardingFieldsAreNotBelieved(t *testing.T) {
	forwarded := []string{
		"Forwarded: for=192.0.2.1;host=evil.example;proto=https", "X-Forwarded-For: 192.0.2.1",
		"X-Forwarded-Host: evil.example", "X-Real-IP: 192.0.2.1", "X-Forwarded-Proto: https",
		"Sec-Fetch-Site: same-origin", // WHATWG-17
	}
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		p := s.openAs(t, "/", append(forwarded, "Origin: http://server.example")...)
		if c := rec.conn(); c.RemoteAddr().String() != p.nc.LocalAddr().String() || c.Request().Host() != "server.example" {
			t.Errorf("the client is %v and asks for %s", c.RemoteAddr(), c.Request().Host())
		}
		p = s.ask(t, request("/", append(forwarded, "Origin: https://evil.example")...))
		checkRefused(t, p, 403)
	})
}
