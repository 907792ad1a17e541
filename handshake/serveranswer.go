package handshake

import (
	"bytes"
	"strings"
)

// ServerAnswer is the server's half of a negotiation (RFC 6455, Section 4.2.2).
type ServerAnswer struct {
	Key         string      // ClientOffer.Key
	Subprotocol string      // one of the client's; "" for none; see SelectSubprotocol
	Extensions  []Extension // a subset of the client's, in order of application

	// Header holds additional fields of the response, such as Set-Cookie. It
	// must not contain the fields of the handshake itself.
	Header map[string][]string

	secretPrefix string // of subprotocols that are access tokens; see SubprotocolToken
}

// AppendResponse appends the 101 response of a to dst: the fields of the
// handshake, then those of a.Header sorted by name. If a value of a cannot be
// sent, it returns dst unchanged and a [*FieldError].
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

// AddFields returns a 101 response with the fields of extra added, such as
// those that middleware stored in an http.ResponseWriter. The response must be
// a complete head and is not modified.
//
// AddFields skips the fields of the handshake, fields about the connection or a
// body, invalid names, and fields that the response already has; Set-Cookie is
// added in any case. If a value cannot be sent, it returns the response
// unchanged and a [*FieldError].
func AddFields(response []byte, extra map[string][]string) ([]byte, error) {
	if len(extra) == 0 {
		return response, nil
	}
	head, complete := bytes.CutSuffix(response, []byte("\r\n\r\n"))
	if !complete {
		return response, &FieldError{"101", "the response is not a complete head"}
	}
	_, lines := cutLine(string(head) + "\r\n")
	present := cutFields(lines, strings.Count(lines, "\r\n"))
	added := append([]byte(nil), head...)
	added = append(added, "\r\n"...)
	for _, name := range sortedNames(extra) {
		if !ValidToken(name) || reserved(name) || describesConnectionOrBody(name) || present.Count(name) > 0 && !equalFold(name, "Set-Cookie") {
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

// describesConnectionOrBody reports whether the field describes the connection,
// which the handshake controls, or the body, which a 101 response lacks.
func describesConnectionOrBody(name string) bool {
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

// check validates a. Its result type is error rather than *FieldError, so that
// a nil result is a nil error.
func (a *ServerAnswer) check() error {
	if !validKey(a.Key) {
		return &FieldError{fieldKey, "must be base64 of 16 bytes"}
	}
	if a.hasSecret() {
		return &FieldError{fieldProtocol, "the subprotocol is an access token; see ServerAnswer.SubprotocolToken"}
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
