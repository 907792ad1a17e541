package handshake

import (
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/internal/texts"
)

// ValidateRequest reports whether r is a valid opening handshake (RFC 6455,
// Section 4.2.1) and returns the client's offer. It does not check the origin
// (see [CheckOrigin]), the host (see [CheckHost]) or the existence of the
// resource.
//
// The error is an [*Error] with the header fields that its status requires:
//
//	400  invalid target, Host, Connection, Sec-WebSocket-Key, -Protocol or
//	     -Extensions, or a body
//	405  the method is not GET
//	417  the client expects an interim response
//	426  Upgrade lacks websocket, or Sec-WebSocket-Version is not 13
//	505  the HTTP version is not 1.1
//
// NotWebSocket is set for plain HTTP; see [Request.WantsWebSocket].
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
	o := ClientOffer{Host: r.Host(), Target: r.originForm(), Key: r.Header.Get(fieldKey)}
	var reason string
	if o.Subprotocols, reason = r.Header.parseSubprotocols(); reason != "" {
		return ClientOffer{}, badRequest(fieldProtocol + ": " + reason)
	}
	extensions, malformed := r.Header.parseExtensions()
	if malformed != nil {
		return ClientOffer{}, badRequest(texts.WithoutPrefix(malformed))
	}
	o.Extensions = extensions
	return o, nil
}

// checkRequest checks the rules for any GET request without a body.
func checkRequest(r *Request) *Error {
	switch {
	case !atLeast11(r.Proto):
		return wrongVersion(r.Proto)
	case r.Method != "GET":
		return &Error{
			Status: 405,
			Reason: "method " + quote(r.Method) + ", want GET",
			Header: map[string][]string{"Allow": {"GET"}},
		}
	case !validTarget(r.Target):
		return badRequest("request target " + quoteTarget(r.Target) + " contains a fragment or a byte that is not printable ASCII")
	}
	if host, _, absolute := cutAbsolute(r.Target); absolute {
		if _, ok := parseAuthority(host); !ok {
			return badRequest("request target " + quoteTarget(r.Target) + " has a malformed host or port")
		}
	} else if !strings.HasPrefix(r.Target, "/") {
		return badRequest("request target " + quoteTarget(r.Target) + ` does not start with "/"`)
	}

	// One Host field is required even for an absolute target (RFC 9112, Section
	// 3.2).
	if n := r.Header.Count(fieldHost); n != 1 {
		return badRequest(strconv.Itoa(n) + " Host fields, want one")
	}
	host := r.Header.Get(fieldHost)
	if _, ok := parseAuthority(host); !ok {
		return badRequest("Host " + quote(host) + " is not a host with an optional port; an IPv6 address needs brackets")
	}
	return checkNoBody(r.Header)
}

// checkNoBody rejects a handshake with a body. A proxy would parse its bytes as
// the body, and this endpoint would parse them as frames (RFC 9112, Section
// 6.3).
func checkNoBody(h Header) *Error {
	for _, f := range h {
		switch {
		case equalFold(f.Name, fieldTransferEncoding):
			return badRequest("handshake with a body: Transfer-Encoding " + quote(f.Value))
		case equalFold(f.Name, fieldContentLength) && f.Value != "0":
			return badRequest("handshake with a body: Content-Length " + quote(f.Value))
		case equalFold(f.Name, "Expect"):
			return &Error{Status: 417, Reason: "handshake with a body: Expect " + quote(f.Value)}
		}
	}
	return nil
}

// checkUpgrade checks the fields of an opening handshake.
func checkUpgrade(r *Request) *Error {
	h := r.Header
	switch {
	case !h.HasToken(fieldUpgrade, "websocket"):
		return upgradeRequired(missingToken(h, fieldUpgrade, "websocket"))
	case !h.HasToken(fieldConnection, "upgrade"):
		return badRequest(missingToken(h, fieldConnection, "Upgrade"))
	case h.Count(fieldVersion) == 0:
		return upgradeRequired("no " + fieldVersion + " field, want " + protocolVersion)
	case h.Count(fieldVersion) > 1:
		return badRequest(strconv.Itoa(h.Count(fieldVersion)) + " " + fieldVersion + " fields, want one")
	case h.Get(fieldVersion) != protocolVersion:
		return upgradeRequired(fieldVersion + " " + quote(h.Get(fieldVersion)) + ", want " + protocolVersion)
	case h.Count(fieldKey) != 1:
		return badRequest(strconv.Itoa(h.Count(fieldKey)) + " " + fieldKey + " fields, want one")
	case !validKey(h.Get(fieldKey)):
		return badRequest(fieldKey + " " + quote(h.Get(fieldKey)) + " is not base64 of 16 bytes")
	}
	return nil
}

// missingToken returns the reason for a field that lacks a token. Proxies
// remove Upgrade and Connection by default (RFC 9110, Section 7.6.1).
func missingToken(h Header, name, token string) string {
	if h.Count(name) == 0 {
		return "no " + name + " field, want " + token + "; a proxy may have removed the field"
	}
	return name + " " + quote(h.list(name)) + " lacks " + token
}

// wrongVersion returns the error for a request that is not HTTP/1.1.
func wrongVersion(proto string) *Error {
	reason := "version " + quote(proto) + ", want HTTP/1.1; "
	if hasPrefixFold(proto, "HTTP/2") {
		return &Error{Status: 505, Reason: reason + `remove "h2" from NextProtos to make TLS clients use HTTP/1.1`}
	}
	return &Error{Status: 505, Reason: reason + "a proxy may have lowered the version"}
}

// quoteTarget quotes a request target without its query, which may contain
// secrets.
func quoteTarget(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		return quote(target[:i]) + " (and more)"
	}
	return quote(target)
}

//go:noinline
func badRequest(reason string) *Error {
	return &Error{Status: 400, Reason: reason}
}

// upgradeRequired returns a 426 with the required fields: the protocol (RFC
// 9110, Section 15.5.22) and its version (RFC 6455, Section 4.4).
func upgradeRequired(reason string) *Error {
	return &Error{
		Status: 426,
		Reason: reason,
		Header: map[string][]string{fieldUpgrade: {"websocket"}, fieldVersion: {protocolVersion}},
	}
}
