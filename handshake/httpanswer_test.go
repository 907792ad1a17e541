package handshake_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// A health check by plain HTTP is distinguished from an opening handshake, even
// if a proxy removed Upgrade and Connection (gobwas/ws#55). It receives a
// complete response (9112-9.6-a).
func TestPlainHTTPIsToldApart(t *testing.T) {
	for _, c := range []struct {
		name, line string
		fields     []string
		status     int
		plain      bool
	}{
		{"health check", "GET /healthz HTTP/1.1", []string{"Host: h", "User-Agent: ELB-HealthChecker/2.0", "Connection: close"}, 426, true},
		{"HEAD", "HEAD / HTTP/1.1", []string{"Host: h"}, 405, true},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0", nil, 505, true},
		{"preface of HTTP/2", "PRI * HTTP/2.0", nil, 505, true},
		{"another protocol", "GET / HTTP/1.1", []string{"Host: h", "Connection: Upgrade", "Upgrade: h2c"}, 426, true},
		{"Upgrade removed by a proxy", requestLine, append(replace(requestFields, "Upgrade"), "X: y"), 426, false},
		{"lowered version", "GET / HTTP/1.0", requestFields, 505, false},
		{"draft 76", requestLine, []string{"Host: h", "Upgrade: WebSocket", "Connection: Upgrade"}, 426, false},
		{"only a subprotocol", requestLine, []string{"Host: h", "sec-websocket-protocol: a"}, 426, false},
		{"wrong method", "POST / HTTP/1.1", requestFields, 405, false},
	} {
		r := parseRequest(t, head(c.line, c.fields...))
		_, err := handshake.ValidateRequest(r)
		var refused *handshake.Error
		if status(t, err) != c.status || !errors.As(err, &refused) || refused.NotWebSocket != c.plain || r.WantsWebSocket() == c.plain {
			t.Errorf("%s: %v, plain %v, WantsWebSocket %v", c.name, err, refused.NotWebSocket, r.WantsWebSocket())
		}
		resp, body := readAnswer(t, r.Method, handshake.AppendRefusal(nil, refused))
		if (body == "") != (r.Method == "HEAD") || resp.ContentLength != int64(len(refused.Body())) {
			t.Errorf("%s: body %q, Content-Length %d", c.name, body, resp.ContentLength) // RFC 9110, Section 9.3.2
		}
	}
	if r := parseRequest(t, head(requestLine, requestFields...)); !r.WantsWebSocket() {
		t.Error("an opening handshake does not ask for WebSocket")
	}
}

// readAnswer parses the response to a request of the method with net/http.
func readAnswer(t *testing.T, method string, b []byte) (*http.Response, string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	check.Mustf(t, err, "%q", b)
	body, err := io.ReadAll(resp.Body)
	if err != nil || r.Buffered() > 0 || !resp.Close || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%q: %v, %d bytes left, close %v", b, err, r.Buffered(), resp.Close)
	}
	return resp, string(body)
}

func TestHTTPAnswers(t *testing.T) {
	const text = "text/plain; charset=utf-8"
	for _, c := range []struct {
		name, method string
		answer       handshake.HTTPAnswer
		status       int
		contentType  string
		length       int64
		body         string
	}{
		{"nothing", "GET", handshake.HTTPAnswer{}, 200, "", 0, ""},
		{"text", "GET", handshake.HTTPAnswer{Status: 200, Body: []byte("ok\n")}, 200, text, 3, "ok\n"},
		{"JSON", "GET", handshake.HTTPAnswer{Header: map[string][]string{"content-type": {"application/json"}}, Body: []byte("{}")}, 200, "application/json", 2, "{}"},
		{"HEAD", "HEAD", handshake.HTTPAnswer{Body: []byte("ok\n")}, 200, text, 3, ""},
		{"No Content", "GET", handshake.HTTPAnswer{Status: 204, Body: []byte("x")}, 204, "", 0, ""},
		{"Reset Content", "GET", handshake.HTTPAnswer{Status: 205, Body: []byte("x")}, 205, "", 0, ""},
		{"not modified", "GET", handshake.HTTPAnswer{Status: 304, Body: []byte("x")}, 304, "", 0, ""},
		{"unavailable", "GET", handshake.HTTPAnswer{Status: 503, Body: []byte("starting")}, 503, text, 8, "starting"},
		{"unknown status", "GET", handshake.HTTPAnswer{Status: 299}, 299, "", 0, ""},
	} {
		b, err := handshake.AppendHTTPAnswer([]byte("before "), &handshake.Request{Method: c.method}, &c.answer)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		resp, body := readAnswer(t, c.method, bytes.TrimPrefix(b, []byte("before ")))
		if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.contentType || max(resp.ContentLength, 0) != c.length || body != c.body {
			t.Errorf("%s: %s, %v, length %d, body %q", c.name, resp.Status, resp.Header, resp.ContentLength, body)
		}
		if c.status == 204 && strings.Contains(string(b), "Content-Length") { // RFC 9110, Section 8.6
			t.Errorf("a 204 with Content-Length: %q", b)
		}
	}

	for name, a := range map[string]*handshake.HTTPAnswer{
		"an interim status":     {Status: 101},
		"a status too high":     {Status: 600},
		"a value with line end": {Header: map[string][]string{"X": {"a\r\nY: b"}}},
		"a name with a space":   {Header: map[string][]string{"X Y": {"a"}}},
		"framing":               {Header: map[string][]string{"transfer-encoding": {"chunked"}}},
		"length":                {Header: map[string][]string{"Content-Length": {"5"}}},
		"connection":            {Header: map[string][]string{"Connection": {"keep-alive"}}},
	} {
		b, err := handshake.AppendHTTPAnswer([]byte("before"), &handshake.Request{Method: "GET"}, a)
		var field *handshake.FieldError
		if string(b) != "before" || !errors.As(err, &field) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestHTTPAnswersToTheByte compares whole responses: the status line, the
// presence of Content-Type and Content-Length, and the range of the status.
func TestHTTPAnswersToTheByte(t *testing.T) {
	const (
		start   = "Connection: close\r\n"
		text    = "Content-Type: text/plain; charset=utf-8\r\n"
		nosniff = "X-Content-Type-Options: nosniff\r\n"
	)
	for want, a := range map[string]handshake.HTTPAnswer{
		"200 OK\r\n" + start + nosniff + "Content-Length: 0\r\n\r\n":                        {},
		"200 OK\r\n" + start + text + nosniff + "Content-Length: 1\r\n\r\nx":                {Status: 200, Body: []byte("x")},
		"204 No Content\r\n" + start + nosniff + "\r\n":                                     {Status: 204, Body: []byte("x")},
		"205 Success\r\n" + start + nosniff + "Content-Length: 0\r\n\r\n":                   {Status: 205, Body: []byte("x")},
		"299 Success\r\n" + start + text + nosniff + "Content-Length: 1\r\n\r\nx":           {Status: 299, Body: []byte("x")},
		"300 Handshake Refused\r\n" + start + nosniff + "Content-Length: 0\r\n\r\n":         {Status: 300},
		"304 Handshake Refused\r\n" + start + nosniff + "\r\n":                              {Status: 304, Body: []byte("x")},
		"599 Handshake Refused\r\n" + start + text + nosniff + "Content-Length: 1\r\n\r\nx": {Status: 599, Body: []byte("x")},
	} {
		b, err := handshake.AppendHTTPAnswer(nil, &handshake.Request{Method: "GET"}, &a)
		if err != nil || string(b) != "HTTP/1.1 "+want {
			t.Errorf("%d: %q, %v; want %q", a.Status, b, err, "HTTP/1.1 "+want)
		}
	}
	for want, a := range map[string]handshake.HTTPAnswer{
		`"status": 199 is not in the range 200 to 599`: {Status: 199},
		`"status": 600 is not in the range 200 to 599`: {Status: 600},
		`"Connection": the server sets this field`:     {Header: map[string][]string{"Connection": {"x"}}},
		`"X": control character in the value`:          {Header: map[string][]string{"X": {"\r"}}},
		`"X Y": not a header field name`:               {Header: map[string][]string{"X Y": {"z"}}},
	} {
		_, err := handshake.AppendHTTPAnswer(nil, &handshake.Request{Method: "GET"}, &a)
		wantText(t, want, err, "websocket: cannot send "+want)
	}
}
