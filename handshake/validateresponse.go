package handshake

import (
	"slices"
	"strconv"
	"strings"
)

// Negotiated is what an opening handshake settled.
type Negotiated struct {
	Subprotocol string      // "" if none; a string of the offer
	Extensions  []Extension // those in effect, in the order of application
}

// ValidateResponse decides whether r opens the connection that o asked for (RFC 6455,
// Section 4.1). An extension counts as offered if its name was, whatever the case;
// its parameters are for the extension to judge. A response without subprotocol
// is in order even if some were offered.
//
// The error is a [*ResponseError].
func ValidateResponse(r *Response, o *ClientOffer) (Negotiated, error) {
	var a Negotiated
	err := checkSwitch(r, o)
	if err == nil {
		a.Extensions, err = agreedExtensions(r, o)
	}
	if err == nil {
		a.Subprotocol, err = agreedSubprotocol(r, o)
	}
	if err != nil {
		return Negotiated{}, err
	}
	return a, nil
}

// checkSwitch checks that the server switches to WebSocket, for this request.
// Content-Length and Transfer-Encoding are ignored: a 101 ends with its blank line,
// whatever fields it has (RFC 9112, Section 6.3).
func checkSwitch(r *Response, o *ClientOffer) error {
	switch upgrade, accept := r.Header.Get(fieldUpgrade), r.Header.Get(fieldAccept); {
	case r.Status != 101:
		return unexpectedStatus(r)
	case !atLeast11(r.Proto):
		return &ResponseError{Reason: "the version is " + quote(r.Proto) + ", not HTTP/1.1"}
	case r.Header.Count(fieldUpgrade) != 1:
		return notOneLine(fieldUpgrade, r.Header.Count(fieldUpgrade))
	case !equalFold(upgrade, "websocket"):
		return &ResponseError{fieldUpgrade, "it is " + quote(upgrade) + `, not "websocket"`}
	case r.Header.Count(fieldConnection) == 0:
		return notOneLine(fieldConnection, 0)
	case !r.Header.HasToken(fieldConnection, "upgrade"):
		return &ResponseError{fieldConnection, "it is " + quote(strings.Join(r.Header.Values(fieldConnection), ", ")) + `, without "Upgrade"`}
	case r.Header.Count(fieldAccept) != 1:
		return notOneLine(fieldAccept, r.Header.Count(fieldAccept))
	case accept != AcceptKey(o.Key):
		return &ResponseError{fieldAccept, quote(accept) + " does not answer the key that was sent"}
	}
	return nil
}

// notOneLine reports a field that is there n times.
func notOneLine(field string, n int) error {
	if n == 0 {
		return &ResponseError{field, "the field is missing"}
	}
	return &ResponseError{field, strconv.Itoa(n) + " fields, not one"}
}

// unexpectedStatus names the versions of a server that refuses ours (Section 4.4).
func unexpectedStatus(r *Response) error {
	reason := "status " + strconv.Itoa(r.Status) + " " + quote(r.Reason) + " where 101 was expected"
	if versions := r.Header.Values(fieldVersion); len(versions) > 0 {
		reason += "; the server supports versions " + quote(strings.Join(versions, ", "))
	}
	return &ResponseError{Reason: reason}
}

func agreedExtensions(r *Response, o *ClientOffer) ([]Extension, error) {
	list, err := r.Header.parseExtensions()
	if err != nil {
		return nil, &ResponseError{fieldExtensions, strings.TrimPrefix(err.Error(), "websocket: ")}
	}
	for _, e := range list {
		offered := slices.ContainsFunc(o.Extensions, func(offer Extension) bool {
			return equalFold(offer.Name, e.Name)
		})
		if !offered {
			return nil, &ResponseError{fieldExtensions, quote(e.Name) + " was not offered"}
		}
	}
	return list, nil
}

func agreedSubprotocol(r *Response, o *ClientOffer) (string, error) {
	switch n := r.Header.Count(fieldProtocol); {
	case n == 0:
		return "", nil
	case n > 1:
		return "", notOneLine(fieldProtocol, n)
	}
	name := r.Header.Get(fieldProtocol)
	i := slices.Index(o.Subprotocols, name)
	if i < 0 {
		return "", &ResponseError{fieldProtocol, quote(name) + " was not offered"}
	}
	return o.Subprotocols[i], nil
}

// atLeast11 takes HTTP/1.1 and what later minor versions there may be.
func atLeast11(proto string) bool {
	return len(proto) == len("HTTP/1.1") && proto[:len("HTTP/1.")] == "HTTP/1." && '1' <= proto[7] && proto[7] <= '9'
}
