package handshake

// Acceptance is what a server agrees to (RFC 6455, Section 4.2.2).
type Acceptance struct {
	Key         string      // the request's, as Upgrade holds it
	Subprotocol string      // one that the client offered, see SelectSubprotocol; "" for none
	Extensions  []Extension // some that the client offered, in the order of application

	// Header holds further fields, such as Set-Cookie. An http.Header may be
	// assigned. It may name none of the fields that the handshake itself consists of.
	Header map[string][]string
}

// AppendResponse appends the 101 response for a: the handshake's own fields first, then those
// of a.Header sorted by name. If anything in a may not be sent it returns dst as it was
// and a [*FieldError].
func AppendResponse(dst []byte, a *Acceptance) ([]byte, error) {
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

// check returns an error and not a *FieldError, so that nil is nil.
func (a *Acceptance) check() error {
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
