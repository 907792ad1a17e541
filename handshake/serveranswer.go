package handshake

import (
	"bytes"
	"strings"
)

// ServerAnswer is what a server agrees to (RFC 6455, Section 4.2.2).
type ServerAnswer struct {
	Key         string      // the request's, as ClientOffer holds it
	Subprotocol string      // one that the client offered, see SelectSubprotocol; "" for none
	Extensions  []Extension // some that the client offered, in the order of application

	// Header holds further fields, such as Set-Cookie. An http.Header may be
	// assigned. It may name none of the fields that the handshake itself consists of.
	Header map[string][]string
}

// AppendResponse appends the 101 response for a: the handshake's own fields first, then those
// of a.Header sorted by name. If anything in a may not be sent it returns dst as it was
// and a [*FieldError].
func AppendResponse(dst []byte, a *ServerAnswer) ([]byte, error) {
	if err := a.check(); err != nil {
		return dst, err
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"...)
	dst = appendField(dst, fieldUpgrade, "websocket")
	dst = appendField(dst, fieldConnection, "Upgrade")
	dst = append(dst, fieldAccept+": "...)
	dst = append(appendAccept(dst, a.Key), "\r\n"...)
	if a.Subprotocol != "" {
		dst = appendField(dst, fieldProtocol, a.Subprotocol)
	}
	dst = appendExtensions(dst, a.Extensions)
	dst = appendExtra(dst, a.Header)
	return append(dst, "\r\n"...), nil
}

// AddFields adds header fields to a 101 response, such as those that middleware has put
// into an http.ResponseWriter. Left out are the fields that the handshake itself consists
// of, those of the connection and of a body, names that are no names, and all that the
// response has already, but for Set-Cookie. If a value may not be sent, it returns the
// response as it was and a [*FieldError].
func AddFields(response []byte, extra map[string][]string) ([]byte, error) {
	if len(extra) == 0 {
		return response, nil
	}
	head, complete := bytes.CutSuffix(response, []byte("\r\n\r\n"))
	if !complete {
		return response, &FieldError{"101", "the response is not a whole head"}
	}
	_, lines := cutLine(string(head) + "\r\n")
	present := cutFields(lines, strings.Count(lines, "\r\n"))
	added := append([]byte(nil), head...)
	added = append(added, "\r\n"...)
	for _, name := range sortedNames(extra) {
		if !ValidToken(name) || reserved(name) || ofConnectionOrBody(name) || present.Count(name) > 0 && !equalFold(name, "Set-Cookie") {
			continue
		}
		if err := checkField(name, extra[name]); err != nil {
			return response, err
		}
		for _, value := range extra[name] {
			added = appendField(added, name, value)
		}
	}
	return append(added, "\r\n"...), nil
}

// ofConnectionOrBody reports whether the field is about the connection or the body of a
// response. A 101 has no body, and the connection is the handshake's.
func ofConnectionOrBody(name string) bool {
	for _, other := range [...]string{
		"Keep-Alive", "Proxy-Connection", "TE", "Trailer", // RFC 9110, Section 7.6.1
		fieldContentType, "Content-Encoding", "Content-Language", "Content-Location", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified",
	} {
		if equalFold(name, other) {
			return true
		}
	}
	return false
}

// check returns an error and not a *FieldError, so that nil is nil.
func (a *ServerAnswer) check() error {
	if !validKey(a.Key) {
		return &FieldError{fieldKey, "it must be base64 of 16 bytes"}
	}
	if a.Subprotocol != "" && !ValidToken(a.Subprotocol) {
		return &FieldError{fieldProtocol, quote(a.Subprotocol) + " is not a token"}
	}
	if err := checkExtensions(a.Extensions); err != nil {
		return err
	}
	if err := checkExtra(a.Header); err != nil {
		return err
	}
	return nil
}
