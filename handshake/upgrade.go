package handshake

import "strings"

// Upgrade is what a client asks for in a valid opening handshake.
type Upgrade struct {
	Key          string
	Subprotocols []string    // in the client's order of preference
	Extensions   []Extension // in the client's order of preference
}

// ValidateRequest decides whether r is an opening handshake (RFC 6455, Section 4.2.1). It
// looks neither at the origin, see [CheckOrigin], nor at whether there is such a resource.
//
// The error is an [*Error], with status
//
//	400  the target, the Host, a body, Connection, Sec-WebSocket-Key, -Protocol or -Extensions
//	405  the method is not GET
//	417  the client expects an interim response
//	426  Upgrade lacks websocket, or Sec-WebSocket-Version is not 13
//	505  the HTTP version is not 1.1
//
// and the header fields that belong to it.
func ValidateRequest(r *Request) (Upgrade, error) {
	if err := checkRequest(r); err != nil {
		return Upgrade{}, err
	}
	if err := checkUpgrade(r); err != nil {
		return Upgrade{}, err
	}
	u := Upgrade{Key: r.Header.Get(fieldKey)}
	var reason string
	if u.Subprotocols, reason = r.Header.parseSubprotocols(); reason != "" {
		return Upgrade{}, badRequest(fieldProtocol + ": " + reason)
	}
	var err error
	if u.Extensions, err = r.Header.parseExtensions(); err != nil {
		return Upgrade{}, badRequest(strings.TrimPrefix(err.Error(), "websocket: "))
	}
	return u, nil
}

// checkRequest checks what holds for any GET request without body.
func checkRequest(r *Request) error {
	switch {
	case !atLeast11(r.Proto):
		return &Error{Status: 505, Reason: quote(r.Proto) + " where HTTP/1.1 was expected"}
	case r.Method != "GET":
		return &Error{
			Status: 405,
			Reason: "method " + quote(r.Method) + " where GET was expected",
			Header: map[string][]string{"Allow": {"GET"}},
		}
	case !validTarget(r.Target):
		return badRequest("request target " + quoteTarget(r.Target))
	}
	if host, _, absolute := cutAbsolute(r.Target); absolute {
		if _, ok := parseAuthority(host); !ok {
			return badRequest("authority of the request target " + quoteTarget(r.Target))
		}
	} else if !strings.HasPrefix(r.Target, "/") {
		return badRequest("request target " + quoteTarget(r.Target))
	}

	// Exactly one Host, also where the target makes it redundant (RFC 9112, Section 3.2).
	if r.Header.Count(fieldHost) != 1 {
		return badRequest("there must be one Host field")
	}
	host := r.Header.Get(fieldHost)
	if _, ok := parseAuthority(host); !ok {
		return badRequest("Host " + quote(host))
	}
	return checkNoBody(r.Header)
}

// checkNoBody refuses a handshake with a body, whose bytes a proxy would take for the body
// and this end for frames (RFC 9112, Section 6.3).
func checkNoBody(h Header) error {
	for _, f := range h {
		switch {
		case equalFold(f.Name, fieldTransferEncoding):
			return badRequest("a handshake has no Transfer-Encoding")
		case equalFold(f.Name, fieldContentLength) && f.Value != "0":
			return badRequest("a handshake has no body, Content-Length " + quote(f.Value))
		case equalFold(f.Name, "Expect"):
			return &Error{Status: 417, Reason: "a handshake has no body, Expect " + quote(f.Value)}
		}
	}
	return nil
}

// checkUpgrade checks what makes the request an opening handshake.
func checkUpgrade(r *Request) error {
	h := r.Header
	switch version, versions := h.Get(fieldVersion), h.Count(fieldVersion); {
	case !h.HasToken(fieldUpgrade, "websocket"):
		return upgradeRequired("Upgrade " + quote(h.Get(fieldUpgrade)) + ` where "websocket" was expected`)
	case !h.HasToken(fieldConnection, "upgrade"):
		return badRequest("Connection " + quote(h.Get(fieldConnection)) + ` where "Upgrade" was expected`)
	case versions > 1:
		return badRequest("Sec-WebSocket-Version stands twice")
	case version != protocolVersion:
		return upgradeRequired("Sec-WebSocket-Version " + quote(version) + " where 13 was expected")
	case h.Count(fieldKey) > 1:
		return badRequest("Sec-WebSocket-Key stands twice")
	case !validKey(h.Get(fieldKey)):
		return badRequest("Sec-WebSocket-Key " + quote(h.Get(fieldKey)) + " is not base64 of 16 bytes")
	}
	return nil
}

// quoteTarget quotes a request target up to its query, which may hold secrets.
func quoteTarget(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		return quote(target[:i]) + " (and more)"
	}
	return quote(target)
}

func badRequest(reason string) *Error {
	return &Error{Status: 400, Reason: reason}
}

// upgradeRequired names the protocol and its version, as a 426 must (RFC 9110, Section
// 15.5.22; RFC 6455, Section 4.4).
func upgradeRequired(reason string) *Error {
	return &Error{
		Status: 426,
		Reason: reason,
		Header: map[string][]string{fieldUpgrade: {"websocket"}, fieldVersion: {protocolVersion}},
	}
}
