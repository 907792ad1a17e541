package handshake

import (
	"strconv"
	"strings"
)

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
// and the header fields that belong to it. NotWebSocket is set for plain HTTP: see
// [Request.WantsWebSocket].
func ValidateRequest(r *Request) (ClientOffer, error) {
	err := checkRequest(r)
	if err == nil {
		err = checkUpgrade(r)
	}
	if err != nil {
		err.NotWebSocket = !r.WantsWebSocket()
		err.bodiless = r.Method == "HEAD"
		return ClientOffer{}, err
	}
	u := ClientOffer{Key: r.Header.Get(fieldKey)}
	var reason string
	if u.Subprotocols, reason = r.Header.parseSubprotocols(); reason != "" {
		return ClientOffer{}, badRequest(fieldProtocol + ": " + reason)
	}
	extensions, malformed := r.Header.parseExtensions()
	if malformed != nil {
		return ClientOffer{}, badRequest(strings.TrimPrefix(malformed.Error(), "websocket: "))
	}
	u.Extensions = extensions
	return u, nil
}

// checkRequest checks what holds for any GET request without body.
func checkRequest(r *Request) *Error {
	switch {
	case !atLeast11(r.Proto):
		return wrongVersion(r.Proto)
	case r.Method != "GET":
		return &Error{
			Status: 405,
			Reason: "method is " + quote(r.Method) + ", not GET",
			Header: map[string][]string{"Allow": {"GET"}},
		}
	case !validTarget(r.Target):
		return badRequest("request target " + quoteTarget(r.Target) + " holds a byte that is not printable ASCII, or a fragment")
	}
	if host, _, absolute := cutAbsolute(r.Target); absolute {
		if _, ok := parseAuthority(host); !ok {
			return badRequest("request target " + quoteTarget(r.Target) + " has a malformed host or port")
		}
	} else if !strings.HasPrefix(r.Target, "/") {
		return badRequest("request target " + quoteTarget(r.Target) + ` does not begin with "/"`)
	}

	// Exactly one Host, also where the target makes it redundant (RFC 9112, Section 3.2).
	if n := r.Header.Count(fieldHost); n != 1 {
		return badRequest(strconv.Itoa(n) + " Host fields, not one")
	}
	host := r.Header.Get(fieldHost)
	if _, ok := parseAuthority(host); !ok {
		return badRequest("Host " + quote(host) + " is not a host, perhaps with a port; an IPv6 address stands in brackets")
	}
	return checkNoBody(r.Header)
}

// checkNoBody refuses a handshake with a body, whose bytes a proxy would take for the body
// and this end for frames (RFC 9112, Section 6.3).
func checkNoBody(h Header) *Error {
	for _, f := range h {
		switch {
		case equalFold(f.Name, fieldTransferEncoding):
			return badRequest("a handshake has no body, Transfer-Encoding " + quote(f.Value))
		case equalFold(f.Name, fieldContentLength) && f.Value != "0":
			return badRequest("a handshake has no body, Content-Length " + quote(f.Value))
		case equalFold(f.Name, "Expect"):
			return &Error{Status: 417, Reason: "a handshake has no body, Expect " + quote(f.Value)}
		}
	}
	return nil
}

// checkUpgrade checks what makes the request an opening handshake.
func checkUpgrade(r *Request) *Error {
	h := r.Header
	switch {
	case !h.HasToken(fieldUpgrade, "websocket"):
		return upgradeRequired(lacksToken(h, fieldUpgrade, "websocket"))
	case !h.HasToken(fieldConnection, "upgrade"):
		return badRequest(lacksToken(h, fieldConnection, "Upgrade"))
	case h.Count(fieldVersion) == 0:
		return upgradeRequired("no " + fieldVersion + " field; it must be " + protocolVersion)
	case h.Count(fieldVersion) > 1:
		return badRequest(strconv.Itoa(h.Count(fieldVersion)) + " " + fieldVersion + " fields, not one")
	case h.Get(fieldVersion) != protocolVersion:
		return upgradeRequired(fieldVersion + " is " + quote(h.Get(fieldVersion)) + ", not " + protocolVersion)
	case h.Count(fieldKey) != 1:
		return badRequest(strconv.Itoa(h.Count(fieldKey)) + " " + fieldKey + " fields, not one")
	case !validKey(h.Get(fieldKey)):
		return badRequest(fieldKey + " " + quote(h.Get(fieldKey)) + " is not base64 of 16 bytes")
	}
	return nil
}

// lacksToken is the reason for a request whose field lacks a token. Proxies remove both
// fields unless they are told not to (RFC 9110, Section 7.6.1).
func lacksToken(h Header, name, token string) string {
	values := h.Values(name)
	if len(values) == 0 {
		return "no " + name + " field; it must name " + token + ". A proxy may have removed it"
	}
	return name + " is " + quote(strings.Join(values, ", ")) + ", without " + token
}

// wrongVersion refuses a version of HTTP other than HTTP/1.1.
func wrongVersion(proto string) *Error {
	reason := "the request came over " + quote(proto) + ", and only an HTTP/1.1 connection can become a WebSocket. "
	if hasPrefixFold(proto, "HTTP/2") {
		return &Error{Status: 505, Reason: reason + `To have TLS clients use HTTP/1.1, leave "h2" out of NextProtos`}
	}
	return &Error{Status: 505, Reason: reason + "A proxy may have lowered the version"}
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
