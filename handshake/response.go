package handshake

import (
	"strconv"
	"strings"
)

// Response is the head of an HTTP response. Its strings are parts of one: keeping any of
// them keeps the whole head.
type Response struct {
	Proto  string // "HTTP/1.1"
	Status int    // three digits, 0 to 999
	Reason string // the reason phrase, which means nothing
	Header Header
}

// ResponseParser reads the head of a response as it arrives. The zero value is
// ready and has the default limits. A parser holds what has arrived of an
// incomplete head and nothing once the head is complete.
type ResponseParser struct {
	Limits Limits
	head   head
}

// Parse reads the next bytes of the head and returns how many of them belong to it.
// While the head is incomplete r is nil and n is len(b). With the
// blank line r is set, the parser is ready for another head, and
// b[n:] is not looked at: after a 101 these bytes are frames. b is not retained.
//
// Interim responses (100, 103) are returned like any other; the caller reads on
// and decides how many of them it puts up with (RFC 9110, Section 15.2).
//
// A head that breaks the grammar or a limit is refused as soon as the byte that does so
// arrives. The error is a [*ResponseError], and Parse returns it again until Reset.
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
	r.Status, _ = strconv.Atoi(status) // the scanner has seen three digits
	r.Reason = reason
	r.Header = cutFields(rest, fields)
	return r, n, nil
}

// Reset forgets an incomplete or refused head.
func (p *ResponseParser) Reset() { p.head = head{} }

// ResponseError reports a response that does not open the connection. Field names
// the header field at fault; it is empty if the status line or the grammar is.
type ResponseError struct {
	Field  string
	Reason string
}

func (e *ResponseError) Error() string {
	if e.Field == "" {
		return "websocket: handshake response: " + e.Reason
	}
	return "websocket: handshake response: " + e.Field + ": " + e.Reason
}
