package handshake_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// 9112-9.6-a, 6455-4.2.1-a, T-E01, T-D19: the connection closes, and the body
// is plain text that depends on the status only.
func TestRefusalIsAWholeResponse(t *testing.T) {
	got := handshake.AppendRefusal([]byte("before "), &handshake.Error{
		Status: 405, Reason: "<script>", Header: map[string][]string{"X-B": {"1", "2"}, "Allow": {"GET"}},
	})
	want := "before HTTP/1.1 405 Method Not Allowed\r\n" +
		"Connection: close\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n" +
		"X-Content-Type-Options: nosniff\r\n" +
		"Content-Length: 19\r\n" +
		"Allow: GET\r\n" +
		"X-B: 1\r\n" +
		"X-B: 2\r\n" +
		"\r\n" +
		"Method Not Allowed\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// 6455-4.2.2-b, 6455-4.2.2-e: a server can use any status from 300.
func TestEveryStatusIsReadByAnHTTPClient(t *testing.T) {
	for status := -1; status < 1100; status++ {
		resp, body := readAnswer(t, "GET", handshake.AppendRefusal(nil, &handshake.Error{Status: status}))
		want := status
		if status < 300 || status > 599 || status == 304 { // a 304 has no body
			want = 500 // T-E01: neither 101 nor a success for a proxy
		}
		text := resp.Status[4:]
		if resp.StatusCode != want || len(text) < 4 || !strings.HasPrefix(body, text) || strings.Count(body, "\n") != 1 || !strings.HasSuffix(body, "\n") {
			t.Errorf("status %d: %s, body %q", status, resp.Status, body)
		}
		if name := http.StatusText(want); text != "Handshake Refused" && !strings.EqualFold(text, name) && want != 414 {
			t.Errorf("status %d is named %q, want %q", want, text, name)
		}
	}
	for status, want := range map[int]string{
		426: "Upgrade Required: this is a WebSocket endpoint\n",
		504: "Gateway Timeout\n",
		505: "HTTP Version Not Supported: this is a WebSocket endpoint over HTTP/1.1\n",
		506: "Handshake Refused\n",
	} {
		check.Equal(t, (&handshake.Error{Status: status}).Body(), want, "status %d: body", status)
	}
	resp, _ := readAnswer(t, "GET", handshake.AppendRefusal(nil, nil))
	if resp.StatusCode != 500 {
		t.Errorf("no error at all: %s", resp.Status)
	}
}

// 6455-4.2.2-d, 9110-7.8-g: the response to a wrong version, as a client parses
// it.
func TestRefusalOfAnotherVersion(t *testing.T) {
	r := parseRequest(t, head(requestLine, replace(requestFields, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 25")...))
	_, err := handshake.ValidateRequest(r)
	resp, _ := readAnswer(t, "GET", handshake.AppendRefusal(nil, err.(*handshake.Error)))
	if resp.StatusCode != 426 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("got %s, %v", resp.Status, resp.Header)
	}
	b := handshake.AppendRefusal(nil, err.(*handshake.Error))
	if !bytes.Contains(b, []byte("\r\nConnection: close, Upgrade\r\n")) {
		t.Errorf("Connection does not name Upgrade: %q", b)
	}
}

// T-D19: the response repeats nothing of the request.
func TestRefusalsDoNotReflectTheRequest(t *testing.T) {
	const evil = "<script>alert(1)</script>"
	for _, text := range []string{
		evil + " / HTTP/1.1\r\n\r\n",
		head("GET "+evil+" HTTP/1.1", requestFields...),
		head("GET http://"+evil+"/ HTTP/1.1", requestFields...),
		head(requestLine, replace(requestFields, "Host", "Host: "+evil)...),
		head(requestLine, replace(requestFields, "Upgrade", "Upgrade: "+evil)...),
		head(requestLine, replace(requestFields, "Connection", "Connection: "+evil)...),
		head(requestLine, replace(requestFields, "Sec-WebSocket-Key", "Sec-WebSocket-Key: "+evil)...),
		head(requestLine, replace(requestFields, "Sec-WebSocket-Version", "Sec-WebSocket-Version: "+evil)...),
		head(requestLine, append(requestFields, "Sec-WebSocket-Protocol: "+evil)...),
		head(requestLine, append(requestFields, "Sec-WebSocket-Extensions: "+evil)...),
		head(requestLine, append(requestFields, "Content-Length: "+evil)...),
		head(requestLine, append(requestFields, "Expect: "+evil)...),
		head(requestLine, append(requestFields, "Origin: "+evil)...),
		head(requestLine, append(requestFields, "Origin: http://script")...),
	} {
		var p handshake.RequestParser
		r, _, err := p.Parse([]byte(text))
		if err == nil {
			_, err = handshake.ValidateRequest(r)
		}
		if err == nil {
			err = handshake.CheckOrigin(r, nil)
		}
		if status(t, err) == 0 {
			t.Errorf("%q was accepted", text)
			continue
		}
		if b := handshake.AppendRefusal(nil, err.(*handshake.Error)); bytes.Contains(b, []byte("script")) {
			t.Errorf("%q reflects the request", b)
		}
	}
}

// T-D17: a refusal omits invalid fields.
func TestFieldsThatMayNotBeSentAreLeftOutOfARefusal(t *testing.T) {
	header := map[string][]string{
		"Connection": {"keep-alive"}, "content-length": {"0"}, "Transfer-Encoding": {"chunked"}, "Content-Type": {"text/html"},
		"x-content-type-options": {"none"}, "": {"x"}, "X Y": {"x"}, "X-Mixed": {"ok", "a\r\nX: y"},
	}
	for _, s := range injections {
		header[s] = []string{"x"}
		header["X-Bad"] = append(header["X-Bad"], s)
	}
	got := handshake.AppendRefusal(nil, &handshake.Error{Status: 401, Header: header})
	want := handshake.AppendRefusal(nil, &handshake.Error{Status: 401, Header: map[string][]string{"X-Mixed": {"ok"}}})
	check.Slices(t, got, want, "")
}

// The text for the log has the status and the reason.
func TestErrorSaysStatusAndReason(t *testing.T) {
	for want, e := range map[string]*handshake.Error{
		"websocket: handshake refused with 503 Service Unavailable: shutting down": {Status: 503, Reason: "shutting down"},
		"websocket: handshake refused with 404 Not Found":                          {Status: 404},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
}
