package handshake

import "strings"

// The names of header fields.
const (
	fieldHost             = "Host"
	fieldUpgrade          = "Upgrade"
	fieldConnection       = "Connection"
	fieldContentLength    = "Content-Length"
	fieldTransferEncoding = "Transfer-Encoding"

	fieldContentType        = "Content-Type"
	fieldContentTypeOptions = "X-Content-Type-Options"

	fieldPrefix     = "Sec-WebSocket-"
	fieldKey        = fieldPrefix + "Key"
	fieldVersion    = fieldPrefix + "Version"
	fieldProtocol   = fieldPrefix + "Protocol"
	fieldExtensions = fieldPrefix + "Extensions"
	fieldAccept     = fieldPrefix + "Accept"
)

const protocolVersion = "13"

// Field is one header field line. Value has no white space at its ends.
type Field struct {
	Name, Value string
}

// Header holds header fields in the order of their lines. Names keep the peer's
// spelling; the methods compare them without regard to case.
type Header []Field

// Get returns the value of the first line with the name, or "" if there is
// none.
//
//go:noinline
func (h Header) Get(name string) string {
	for _, f := range h {
		if equalFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values returns the values of all lines with the name, in order.
func (h Header) Values(name string) []string {
	var values []string
	for _, f := range h {
		if equalFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Count returns the number of lines with the name.
//
//go:noinline
func (h Header) Count(name string) int {
	n := 0
	for _, f := range h {
		if equalFold(f.Name, name) {
			n++
		}
	}
	return n
}

// list returns the values of all lines with the name as one list (RFC 9110,
// Section 5.3).
//
//go:noinline
func (h Header) list(name string) string {
	list := ""
	for _, f := range h {
		if equalFold(f.Name, name) {
			list += ", " + f.Value
		}
	}
	return strings.TrimPrefix(list, ", ")
}

// HasToken reports whether the token is a member of the comma-separated list in
// the lines with the name (RFC 9110, Section 5.6.1). Tokens are compared
// without regard to case.
func (h Header) HasToken(name, token string) bool {
	for _, f := range h {
		if equalFold(f.Name, name) && hasMember(f.Value, token) {
			return true
		}
	}
	return false
}

//go:noinline
func hasMember(list, token string) bool {
	for list != "" {
		var member string
		if member, list = nextMember(list); equalFold(member, token) {
			return token != ""
		}
	}
	return false
}

// Map returns the fields as a map that can be converted to an http.Header.
// Names are in canonical form, such as Sec-Websocket-Key; values keep their
// order.
func (h Header) Map() map[string][]string {
	m := make(map[string][]string, len(h))
	for _, f := range h {
		name := canonicalName(f.Name)
		m[name] = append(m[name], f.Value)
	}
	return m
}

// canonicalName returns name with upper case letters at the start and after
// "-", and lower case letters elsewhere.
func canonicalName(name string) string {
	b := []byte(name)
	first := true
	for i, c := range b {
		c = lower(c)
		if first && isAlpha(c) {
			c -= 'a' - 'A'
		}
		b[i] = c
		first = c == '-'
	}
	return string(b)
}

// FieldError reports a value of the caller that cannot be sent. The text does
// not repeat the values of header fields, which may be secret.
type FieldError struct {
	Field  string // header field, or "request target", "status" or "101"
	Reason string
}

func (e *FieldError) Error() string {
	return "websocket: cannot send " + quote(e.Field) + ": " + e.Reason
}

// reserved reports whether the field belongs to the handshake. A second line or
// another value would change the meaning of the message.
func reserved(name string) bool {
	if hasPrefixFold(name, fieldPrefix) {
		return true
	}
	for _, own := range [...]string{fieldHost, fieldUpgrade, fieldConnection, fieldContentLength, fieldTransferEncoding} {
		if equalFold(name, own) {
			return true
		}
	}
	return false
}

// checkExtra validates the fields that a caller adds to those of the handshake.
func checkExtra(extra map[string][]string) *FieldError {
	for _, name := range sortedNames(extra) {
		if err := checkField(name, extra[name]); err != nil {
			return err
		}
		if reserved(name) {
			return &FieldError{name, "the handshake sets this field"}
		}
	}
	return nil
}

// checkField validates a header field and its values.
func checkField(name string, values []string) *FieldError {
	if !ValidToken(name) {
		return &FieldError{name, "not a header field name"}
	}
	for _, value := range values {
		if !ValidValue(value) {
			return &FieldError{name, "control character in the value"}
		}
	}
	return nil
}

func appendExtra(dst []byte, extra map[string][]string) []byte {
	for _, name := range sortedNames(extra) {
		for _, value := range extra[name] {
			dst = appendField(dst, name, value)
		}
	}
	return dst
}

//go:noinline
func appendField(dst []byte, name, value string) []byte {
	return appendStrings(dst, name, ": ", value, "\r\n")
}

//go:noinline
func appendStrings(dst []byte, parts ...string) []byte {
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return dst
}

// sortedNames returns the names of extra, sorted.
//
//go:noinline
func sortedNames(extra map[string][]string) []string {
	if len(extra) == 0 {
		return nil
	}
	names := make([]string, 0, len(extra))
	for name := range extra {
		// Insertion sort, because maps are small and slices.Sort makes programs
		// larger.
		i := len(names)
		names = append(names, name)
		for ; i > 0 && names[i-1] > name; i-- {
			names[i] = names[i-1]
		}
		names[i] = name
	}
	return names
}

// appendExtensions appends the field line of valid extensions, or nothing for
// an empty list.
func appendExtensions(dst []byte, list []Extension) []byte {
	before := fieldExtensions + ": "
	for _, e := range list {
		dst = AppendExtension(appendStrings(dst, before), e)
		before = ", "
	}
	if len(list) > 0 {
		dst = appendStrings(dst, "\r\n")
	}
	return dst
}

func checkExtensions(list []Extension) *FieldError {
	for _, e := range list {
		if !e.valid() {
			return &FieldError{fieldExtensions, "a name or a value is not a token"}
		}
	}
	return nil
}
