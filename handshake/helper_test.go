package handshake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// The key of RFC 6455, Section 1.3, and its accept value.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const requestLine = "GET /chat HTTP/1.1"

// requestFields are the fields of a valid request.
var requestFields = []string{
	"Host: server.example.com",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: " + sampleKey,
	"Sec-WebSocket-Version: 13",
}

// responseFields are the fields of a valid response to requestFields.
var responseFields = []string{
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Accept: " + sampleAccept,
}

// head joins a start line and field lines.
func head(startLine string, fields ...string) string {
	return startLine + "\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

// replace replaces the lines with the name, or removes them if lines is empty.
func replace(fields []string, name string, lines ...string) []string {
	var out []string
	for _, f := range fields {
		if !strings.HasPrefix(f, name+":") {
			out = append(out, f)
		}
	}
	return append(out, lines...)
}

func parseRequest(t testing.TB, text string) *handshake.Request {
	t.Helper()
	var p handshake.RequestParser
	r, n, err := p.Parse([]byte(text))
	if err != nil || r == nil || n != len(text) {
		t.Fatalf("Parse(%q) = %v, %d, %v; want a whole request of %d bytes", text, r, n, err, len(text))
	}
	return r
}

func parseResponse(t testing.TB, text string) *handshake.Response {
	t.Helper()
	var p handshake.ResponseParser
	r, n, err := p.Parse([]byte(text))
	if err != nil || r == nil || n != len(text) {
		t.Fatalf("Parse(%q) = %v, %d, %v; want a whole response of %d bytes", text, r, n, err, len(text))
	}
	return r
}

// status returns the HTTP status of a refusal, or 0 for nil.
func status(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var refused *handshake.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is a %T, want *handshake.Error", err, err)
	}
	if !strings.HasPrefix(err.Error(), "websocket: ") {
		t.Errorf("error text %q does not say whose it is", err)
	}
	return refused.Status
}
