package handshake

import (
	"slices"
	"strconv"

	"github.com/fibersock/fibersock/internal/texts"
)

// Negotiated is the result of an opening handshake.
type Negotiated struct {
	Subprotocol string      // one of ClientOffer.Subprotocols; "" for none
	Extensions  []Extension // in order of application
}

// ValidateResponse reports whether r accepts the offer o (RFC 6455, Section
// 4.1), and returns the negotiated subprotocol and extensions. Each extension
// of the response must have an offered name, compared without regard to case;
// the caller validates its parameters. A response without a subprotocol is
// valid even if o offers some.
//
// The error is a [*ResponseError].
func ValidateResponse(r *Response, o *ClientOffer) (Negotiated, error) {
	var n Negotiated
	var err error
	if n.Subprotocol, err = ValidateUpgrade(r, o); err == nil {
		n.Extensions, err = NegotiatedExtensions(r, o)
	}
	if err != nil {
		return Negotiated{}, err
	}
	return n, nil
}

// ValidateUpgrade is [ValidateResponse] for a client that calls
// [NegotiatedExtensions] only if it has offered some. It returns the negotiated
// subprotocol. If o offers no extension, a response with one is not valid.
//
// The error is a [*ResponseError].
func ValidateUpgrade(r *Response, o *ClientOffer) (subprotocol string, err error) {
	if err = checkSwitchingProtocols(r, o); err != nil {
		return "", err
	}
	if len(o.Extensions) == 0 && r.Header.Count(fieldExtensions) > 0 {
		return "", wrongValue(fieldExtensions, r.Header.list(fieldExtensions), " was not offered")
	}
	return negotiatedSubprotocol(r, o)
}

// checkSwitchingProtocols checks that r switches to WebSocket for the request
// of o. It ignores Content-Length and Transfer-Encoding, because a 101 response
// ends with the blank line (RFC 9112, Section 6.3).
func checkSwitchingProtocols(r *Response, o *ClientOffer) error {
	switch upgrade, accept := r.Header.Get(fieldUpgrade), r.Header.Get(fieldAccept); {
	case r.Status != 101:
		return unexpectedStatus(r)
	case !atLeast11(r.Proto):
		return &ResponseError{Reason: "version " + quote(r.Proto) + ", want HTTP/1.1"}
	case r.Header.Count(fieldUpgrade) != 1:
		return wrongCount(fieldUpgrade, r.Header.Count(fieldUpgrade))
	case !equalFold(upgrade, "websocket"):
		return wrongValue(fieldUpgrade, upgrade, `, want "websocket"`)
	case r.Header.Count(fieldConnection) == 0:
		return wrongCount(fieldConnection, 0)
	case !r.Header.HasToken(fieldConnection, "upgrade"):
		return wrongValue(fieldConnection, r.Header.list(fieldConnection), ` lacks "Upgrade"`)
	case r.Header.Count(fieldAccept) != 1:
		return wrongCount(fieldAccept, r.Header.Count(fieldAccept))
	case accept != AcceptKey(o.Key):
		return wrongValue(fieldAccept, accept, " does not match the key of the request")
	}
	return nil
}

// wrongCount returns the error for a field with n lines in place of one.
//
//go:noinline
func wrongCount(field string, n int) error {
	if n == 0 {
		return &ResponseError{field, "missing"}
	}
	return &ResponseError{field, strconv.Itoa(n) + " fields, want one"}
}

// wrongValue returns the error for a value of the field, quoted, and its fault.
//
//go:noinline
func wrongValue(field, value, fault string) error {
	return &ResponseError{field, quote(value) + fault}
}

// unexpectedStatus returns the error for a status other than 101, with the
// protocol versions that the server supports (Section 4.4).
func unexpectedStatus(r *Response) error {
	reason := "status " + strconv.Itoa(r.Status) + " " + quote(r.Reason) + ", want 101"
	if r.Header.Count(fieldVersion) > 0 {
		reason += "; the server supports versions " + quote(r.Header.list(fieldVersion))
	}
	return &ResponseError{Reason: reason}
}

// NegotiatedExtensions returns the extensions of r, in order of application.
// Each must have a name that o offers, compared without regard to case; the
// caller validates its parameters.
//
// The error is a [*ResponseError].
func NegotiatedExtensions(r *Response, o *ClientOffer) ([]Extension, error) {
	list, err := r.Header.parseExtensions()
	if err != nil {
		return nil, &ResponseError{fieldExtensions, texts.WithoutPrefix(err)}
	}
	for _, e := range list {
		offered := slices.ContainsFunc(o.Extensions, func(offer Extension) bool {
			return equalFold(offer.Name, e.Name)
		})
		if !offered {
			return nil, wrongValue(fieldExtensions, e.Name, " was not offered")
		}
	}
	return list, nil
}

func negotiatedSubprotocol(r *Response, o *ClientOffer) (string, error) {
	switch n := r.Header.Count(fieldProtocol); {
	case n == 0:
		return "", nil
	case n > 1:
		return "", wrongCount(fieldProtocol, n)
	}
	name := r.Header.Get(fieldProtocol)
	i := slices.Index(o.Subprotocols, name)
	if i < 0 {
		return "", wrongValue(fieldProtocol, name, " was not offered")
	}
	return o.Subprotocols[i], nil
}

// atLeast11 reports whether proto is HTTP/1.1 or a later minor version.
func atLeast11(proto string) bool {
	return len(proto) == len("HTTP/1.1") && proto[:len("HTTP/1.")] == "HTTP/1." && '1' <= proto[7] && proto[7] <= '9'
}
