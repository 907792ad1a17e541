package handshake

import (
	"slices"
	"strconv"
	"strings"
)

// ClientOffer is what a client asks for in its opening handshake (RFC 6455, Section 4.1).
type ClientOffer struct {
	Host         string // value of the Host field, as URL.HostHeader gives it
	Target       string // the resource name, as URL.Target holds it
	Key          string // a new key for every attempt, see NewKey
	Subprotocols []string
	Extensions   []Extension

	// Header holds further fields, such as Origin, Authorization or Cookie.
	// An http.Header may be assigned. It may name none of the fields
	// that the handshake itself consists of.
	Header map[string][]string
}

// AppendRequest appends the request for o: the handshake's own fields first, then those of
// o.Header sorted by name. If anything in o may not be sent it returns dst as it
// was and a [*FieldError].
func AppendRequest(dst []byte, o *ClientOffer) ([]byte, error) {
	if err := o.check(); err != nil {
		return dst, err
	}
	dst = append(dst, "GET "...)
	dst = append(dst, o.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, fieldHost, o.Host)
	dst = appendField(dst, fieldUpgrade, "websocket")
	dst = appendField(dst, fieldConnection, "Upgrade")
	dst = appendField(dst, fieldKey, o.Key)
	dst = appendField(dst, fieldVersion, protocolVersion)
	if len(o.Subprotocols) > 0 {
		dst = appendField(dst, fieldProtocol, strings.Join(o.Subprotocols, ", "))
	}
	dst = appendExtensions(dst, o.Extensions)
	dst = appendExtra(dst, o.Header)
	return append(dst, "\r\n"...), nil
}

// check returns an error and not a *FieldError, so that nil is nil.
func (o *ClientOffer) check() error {
	if _, ok := parseAuthority(o.Host); !ok {
		return &FieldError{fieldHost, `it must be a host, perhaps with ":" and a port`}
	}
	if !strings.HasPrefix(o.Target, "/") || !validTarget(o.Target) {
		return &FieldError{"request target", `it must begin with "/" and hold printable ASCII without "#" only`}
	}
	if !validKey(o.Key) {
		return &FieldError{fieldKey, "it must be base64 of 16 bytes"}
	}
	for i, name := range o.Subprotocols {
		switch {
		case !ValidToken(name):
			return &FieldError{fieldProtocol, "subprotocol " + strconv.Itoa(i+1) + " is not a token"}
		case slices.Contains(o.Subprotocols[:i], name):
			return &FieldError{fieldProtocol, "subprotocol " + strconv.Itoa(i+1) + " is offered twice"}
		}
	}
	if err := checkExtensions(o.Extensions); err != nil {
		return err
	}
	if err := checkExtra(o.Header); err != nil {
		return err
	}
	return nil
}

// validTarget takes the bytes that may stand in a request target. A fragment is no
// part of one (RFC 9112, Section 3.2).
func validTarget(s string) bool {
	return all(s, targetByte) && strings.IndexByte(s, '#') < 0
}

// AppendHeader appends the field lines of header, sorted by name, as a request for a
// proxy needs them. If a field may not be sent, or is one that a handshake sets, it
// returns dst as it was and a [*FieldError].
func AppendHeader(dst []byte, header map[string][]string) ([]byte, error) {
	if err := checkExtra(header); err != nil {
		return dst, err
	}
	return appendExtra(dst, header), nil
}
