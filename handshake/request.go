package handshake

import "strings"

// Request is the head of an HTTP request. Its strings are parts of one: keeping any of
// them keeps the whole head.
type Request struct {
	Method string // as sent; methods are case-sensitive
	Target string // as sent: "/chat?room=1", or an absolute URI
	Proto  string // "HTTP/1.1"
	Header Header

	text string
}

// RequestParser reads the head of a request as it arrives. The zero value is
// ready and has the default limits. A parser holds what has arrived of an
// incomplete head and nothing once the head is complete.
type RequestParser struct {
	Limits Limits
	head   head
}

// Parse reads the next bytes of the head and returns how many of them belong to it.
// While the head is incomplete r is nil and n is len(b). With the
// blank line r is set, the parser is ready for another head, and
// b[n:] is not looked at: after a handshake these bytes are frames. b is not
// retained. One empty line before the request is ignored (RFC 9112, Section 2.2).
//
// A head that breaks the grammar or a limit is refused as soon as the byte that does so
// arrives. The error is an [*Error] with status 400, 414 (Limits.RequestLine) or 431
// (Limits.Bytes, Limits.Fields), and Parse returns it again until Reset.
func (p *RequestParser) Parse(b []byte) (r *Request, n int, err error) {
	text, fields, n, refused := p.head.read(b, inMethod, p.Limits)
	if refused != nil {
		return nil, n, refused
	}
	if text == "" {
		return nil, n, nil
	}
	text = strings.TrimPrefix(text, "\r\n")
	r = &Request{text: text}
	line, rest := cutLine(text)
	r.Method, line, _ = strings.Cut(line, " ")
	r.Target, r.Proto, _ = strings.Cut(line, " ")
	r.Header = cutFields(rest, fields)
	return r, n, nil
}

// Reset forgets an incomplete or refused head.
func (p *RequestParser) Reset() { p.head = head{} }

// Text returns the head as it came, the blank line included, if a RequestParser has
// read it, else "". Of a request that is to be kept for long, it is less than half.
func (r *Request) Text() string { return r.text }

// WantsWebSocket reports whether the request asks for WebSocket, validly or not: by its
// Upgrade field, or by any of the Sec-WebSocket fields, which a proxy that removes
// Upgrade lets pass. Other requests are plain HTTP, such as those of health checks.
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

// Path returns the path of the target as it was sent, percent-encoded.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.originForm(), "?")
	return path
}

// Query returns what follows the "?" of the target as it was sent, "" if there is
// nothing.
func (r *Request) Query() string {
	_, query, _ := strings.Cut(r.originForm(), "?")
	return query
}

// Host returns the host and perhaps ":port" that the client wants to talk to: of the
// target if that is an absolute URI, of the Host field otherwise (RFC 9112, Section 3.2.2).
func (r *Request) Host() string {
	if host, _, ok := cutAbsolute(r.Target); ok {
		return host
	}
	return r.Header.Get("Host")
}

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

// cutAbsolute splits the URI of an absolute-form target behind its authority. ok is false
// for the other forms and for schemes WebSocket has nothing to do with.
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
