package handshake

import (
	"slices"
	"strconv"
	"strings"
)

// ClientOffer is the client's half of a negotiation (RFC 6455, Section 4.1). A
// client passes it to [AppendRequest] and [ValidateResponse]; a server receives
// it from [ValidateRequest].
type ClientOffer struct {
	Host         string      // Host field; see URL.HostHeader
	Target       string      // resource name: path and query; see URL.Target
	Key          string      // Sec-WebSocket-Key; see NewKey
	Subprotocols []string    // in order of preference
	Extensions   []Extension // in order of preference

	// Header holds additional fields of the request, such as Origin,
	// Authorization or Cookie. It must not contain the fields of the handshake
	// itself. ValidateRequest leaves it nil; see Request.Header.
	Header map[string][]string
}

// AppendRequest appends the request of o to dst: the fields of the handshake,
// then those of o.Header sorted by name. If a value of o cannot be sent, it
// returns dst unchanged and a [*FieldError].
func AppendRequest(dst []byte, o *ClientOffer) ([]byte, error) {
	if err := o.check(); err != nil {
		return dst, err
	}
	dst = appendStrings(dst, "GET ", o.Target, " HTTP/1.1\r\n")
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
	return appendStrings(dst, "\r\n"), nil
}

// check validates o. Its result type is error rather than *FieldError, so that
// a nil result is a nil error.
func (o *ClientOffer) check() error {
	if _, ok := parseAuthority(o.Host); !ok {
		return &FieldError{fieldHost, "must be a host with an optional port"}
	}
	if !strings.HasPrefix(o.Target, "/") || !validTarget(o.Target) {
		return &FieldError{"request target", `must start with "/" and be printable ASCII without "#"`}
	}
	if !validKey(o.Key) {
		return &FieldError{fieldKey, "must be base64 of 16 bytes"}
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

// validTarget reports whether s consists of bytes that a request target allows.
// A target has no fragment (RFC 9112, Section 3.2).
func validTarget(s string) bool {
	return all(s, targetByte) && strings.IndexByte(s, '#') < 0
}

// AppendHeader appends the field lines of header to dst, sorted by name, for
// instance for a CONNECT request to a proxy. If a field cannot be sent, or
// belongs to the handshake, it returns dst unchanged and a [*FieldError].
func AppendHeader(dst []byte, header map[string][]string) ([]byte, error) {
	if err := checkExtra(header); err != nil {
		return dst, err
	}
	return appendExtra(dst, header), nil
}
