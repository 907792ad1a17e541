package handshake

import (
	"strings"

	"github.com/fibersock/fibersock/internal/texts"
)

// Response is the head of an HTTP response. Its strings are substrings of one
// string, so retaining one of them retains the whole head.
type Response struct {
	Proto  string // "HTTP/1.1"
	Status int    // 0 to 999
	Reason string // reason phrase, without meaning
	Header Header
}

// ResponseParser parses the head of a response that arrives in pieces. The zero
// value has the default limits. The parser buffers an incomplete head and
// releases the buffer when the head is complete.
type ResponseParser struct {
	Limits Limits
	head   head
}

// Parse parses the next bytes of the head and returns the number n of bytes
// that belong to it. While the head is incomplete, r is nil and n is len(b).
// With the blank line r is set and the parser is ready for another head; b[n:]
// is unread and contains, after a 101, the first frames. b is not retained.
//
// Parse returns interim responses (100, 103) like any other. The caller reads
// the next response and limits their number (RFC 9110, Section 15.2).
//
// Parse returns an error as soon as b contains a byte that breaks the grammar
// or a limit, and returns the same error until Reset. The error is a
// [*ResponseError].
func (p *ResponseParser) Parse(b []byte) (r *Response, n int, err error) {
	text, fields, n, refused := p.head.read(b, inStatusLine, p.Limits)
	if refused != nil {
		return nil, n, &ResponseError{Reason: refused.Reason}
	}
	if text == "" {
		return nil, n, nil
	}
	r = new(Response)
	line, rest := cutLine(text)
	r.Proto, line, _ = strings.Cut(line, " ")
	status, reason, _ := strings.Cut(line, " ")
	r.Status, _ = texts.Number(status, 10, 999) // three digits, as the scanner checked
	r.Reason = reason
	r.Header = cutFields(rest, fields)
	return r, n, nil
}

// Reset discards an incomplete head and an error.
func (p *ResponseParser) Reset() { p.head = head{} }

// ResponseError reports a response that does not open the connection.
type ResponseError struct {
	Field  string // header field; "" for the status line and the grammar
	Reason string
}

func (e *ResponseError) Error() string {
	if e.Field == "" {
		return "websocket: handshake response: " + e.Reason
	}
	return "websocket: handshake response: " + e.Field + ": " + e.Reason
}
