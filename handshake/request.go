package handshake

import (
	"context"
	"math"
	"slices"
	"strings"
)

// Request is the head of an HTTP request. Its strings are substrings of one
// string, so retaining one of them retains the whole head.
type Request struct {
	Method string // as sent; case-sensitive
	Target string // as sent: "/chat?room=1" or an absolute URI
	Proto  string // "HTTP/1.1"
	Header Header

	text string
	ctx  context.Context // nil: context.Background
}

// Context returns the context of SetContext, context.Background by default.
func (r *Request) Context() context.Context {
	if r.ctx == nil {
		return context.Background()
	}
	return r.ctx
}

// SetContext sets the context of the request, for callbacks that decide about
// it. Package httpupgrade sets that of the http.Request.
func (r *Request) SetContext(ctx context.Context) { r.ctx = ctx }

// RequestParser parses the head of a request that arrives in pieces. The zero
// value has the default limits. The parser buffers an incomplete head and
// releases the buffer when the head is complete.
type RequestParser struct {
	Limits Limits
	head   head
}

// Parse parses the next bytes of the head and returns the number n of bytes
// that belong to it. While the head is incomplete, r is nil and n is len(b).
// With the blank line r is set and the parser is ready for another head; b[n:]
// is unread and contains the first frames. b is not retained. One empty line
// before the request is ignored (RFC 9112, Section 2.2).
//
// Parse returns an error as soon as b contains a byte that breaks the grammar
// or a limit, and returns the same error until Reset. The error is an [*Error]
// with status 400, 414 (Limits.RequestLine) or 431 (Limits.Bytes,
// Limits.Fields).
func (p *RequestParser) Parse(b []byte) (r *Request, n int, err error) {
	text, fields, n, refused := p.head.read(b, inMethod, p.Limits)
	if refused != nil {
		return nil, n, refused
	}
	if text == "" {
		return nil, n, nil
	}
	return cutRequest(text, fields), n, nil
}

// cutRequest returns the request whose head is text, which is well formed and
// has so many header field lines.
func cutRequest(text string, fields int) *Request {
	text = strings.TrimPrefix(text, "\r\n")
	r := &Request{text: text}
	line, rest := cutLine(text)
	r.Method, line, _ = strings.Cut(line, " ")
	r.Target, r.Proto, _ = strings.Cut(line, " ")
	r.Header = cutFields(rest, fields)
	return r
}

// RequestOf returns the Request whose Text is text. text must be the result of
// Text: it is not checked.
func RequestOf(text string) *Request {
	return cutRequest(text, strings.Count(text, "\r\n")-2)
}

// Reset discards an incomplete head and an error.
func (p *RequestParser) Reset() { p.head = head{} }

// Text returns the head as received, including the blank line. The text of a
// Request that is not from a [RequestParser] is a head with the same elements,
// or "" if there is none, because a header field name is no token, for example.
// [RequestOf] makes the Request again. Retaining the text takes less than half
// the memory of the Request.
func (r *Request) Text() string {
	if r.text != "" {
		return r.text
	}
	b := make([]byte, 0, 512)
	b = append(append(b, r.Method...), ' ')
	b = append(append(b, r.Target...), ' ')
	b = append(append(b, r.Proto...), "\r\n"...)
	for _, f := range r.Header {
		b = appendField(b, f.Name, f.Value)
	}
	b = append(b, "\r\n"...)
	var s scanner
	if n, err := s.scan(b, inMethod, noLimits); err != nil || n < len(b) || s.place != headDone {
		return ""
	}
	text := string(b)
	same := cutRequest(text, s.fields)
	if same.Method != r.Method || same.Target != r.Target || same.Proto != r.Proto || !slices.Equal(same.Header, r.Header) {
		return ""
	}
	return text
}

// noLimits are limits that no head in memory exceeds.
var noLimits = Limits{Bytes: math.MaxInt, Fields: math.MaxInt, RequestLine: math.MaxInt}

// WantsWebSocket reports whether the request is an opening handshake, valid or
// not: it has "websocket" in its Upgrade field, or a Sec-WebSocket field, which
// a proxy that removes Upgrade forwards. Other requests are plain HTTP, such as
// health checks.
func (r *Request) WantsWebSocket() bool {
	if r.Header.HasToken(fieldUpgrade, "websocket") {
		return true
	}
	for _, f := range r.Header {
		if hasPrefixFold(f.Name, fieldPrefix) {
			return true
		}
	}
	return false
}

// Path returns the path of the target as sent, percent-encoded.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.originForm(), "?")
	return path
}

// Query returns the query of the target as sent, percent-encoded and without
// "?", or "" if there is none.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.originForm(), "?")
	return query
}

// Host returns the host and optional port of the request: those of the target
// if it is an absolute URI, otherwise the Host field (RFC 9112, Section 3.2.2).
func (r *Request) Host() string {
	if host, _, ok := cutAbsolute(r.Target); ok {
		return host
	}
	return r.Header.Get("Host")
}

// originForm returns path and query of the target, as an origin-form target has
// them.
func (r *Request) originForm() string {
	_, target, ok := cutAbsolute(r.Target)
	switch {
	case !ok:
		return r.Target
	case target == "":
		return "/"
	case target[0] == '?':
		return "/" + target
	}
	return target
}

// cutAbsolute splits an absolute-form target after its authority. ok is false
// for other forms and for schemes other than http, https, ws and wss.
func cutAbsolute(target string) (host, rest string, ok bool) {
	scheme, rest, found := strings.Cut(target, "://")
	if !found || defaultPort(scheme) == 0 {
		return "", "", false
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[:i], rest[i:], true
	}
	return rest, "", true
}
