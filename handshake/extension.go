package handshake

import (
	"strconv"
	"strings"
)

// Extension is a member of a Sec-WebSocket-Extensions list: an offered
// extension in a request, a negotiated one in a response (RFC 6455, Section
// 9.1).
type Extension struct {
	Name   string
	Params []Param
}

// Param is a parameter of an extension: "name", or "name=value" if HasValue is
// set or Value is not empty.
type Param struct {
	Name, Value string
	HasValue    bool
}

// ExtensionError reports a malformed list of extensions.
type ExtensionError struct {
	Value  string // the list, as the peer sent it
	Reason string
}

func (e *ExtensionError) Error() string {
	return "websocket: extension list " + quote(e.Value) + ": " + e.Reason
}

// ParseExtensions parses a Sec-WebSocket-Extensions value and appends its
// extensions to dst, in order. The value is one header line, or several joined
// with commas. A quoted string is unquoted; its content must be a token (RFC
// 6455, Section 9.1). Empty members are skipped.
//
// The limit is 128 extensions and parameters together. On an error
// ParseExtensions returns dst unchanged and an [*ExtensionError]. The strings
// alias value unless a quoted string contains a backslash.
func ParseExtensions(dst []Extension, value string) ([]Extension, error) {
	var p extensionParser
	return p.parse(dst, value)
}

// extensionParser parses lists of extensions. It reads each byte once.
type extensionParser struct {
	text   string
	rest   string // unparsed suffix of text
	parts  int    // extensions and parameters parsed, in all texts
	reason string // first fault
}

func (p *extensionParser) parse(dst []Extension, value string) ([]Extension, error) {
	p.text, p.rest = value, value
	list := dst
	for {
		p.skip(", \t")
		if p.rest == "" {
			return list, nil
		}
		var params []Param
		if list == nil { // one allocation for the offer of a browser
			first := new(struct {
				list   [1]Extension
				params [2]Param
			})
			list, params = first.list[:0], first.params[:0]
		}
		list = append(list, p.extension(params))
		if p.reason != "" {
			return dst, &ExtensionError{Value: value, Reason: p.reason}
		}
	}
}

func (p *extensionParser) fail(reason string) {
	if p.reason == "" {
		p.reason = reason + " at offset " + strconv.Itoa(len(p.text)-len(p.rest))
	}
}

func (p *extensionParser) skip(set string) {
	for p.rest != "" && strings.IndexByte(set, p.rest[0]) >= 0 {
		p.rest = p.rest[1:]
	}
}

// consume removes c and the white space after it from the front of the rest. It
// reports whether the rest started with c.
func (p *extensionParser) consume(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.skip(" \t")
	return true
}

// extension parses extension-token *( ";" extension-param ) and the comma after
// it. The parameters are appended to params, which is empty.
func (p *extensionParser) extension(params []Param) (e Extension) {
	e.Name = p.token("extension name")
	for p.reason == "" && p.consume(';') {
		params = append(params, p.param())
		e.Params = params
	}
	if p.reason == "" && p.rest != "" && !p.consume(',') {
		p.fail("want a comma, a semicolon or an equals sign after a token")
	}
	return e
}

// param parses token [ "=" (token | quoted-string) ].
func (p *extensionParser) param() (param Param) {
	param.Name = p.token("parameter name")
	if p.reason != "" || !p.consume('=') {
		return param
	}
	param.HasValue = true
	if strings.HasPrefix(p.rest, `"`) {
		param.Value = p.quoted()
		p.skip(" \t")
	} else {
		param.Value = p.run("parameter value")
	}
	return param
}

// token parses the name of an extension or of a parameter. element names it in
// errors.
func (p *extensionParser) token(element string) string {
	if p.parts++; p.parts > maxListMembers {
		p.fail("more than " + strconv.Itoa(maxListMembers) + " extensions and parameters")
		return ""
	}
	return p.run(element)
}

// run parses one token and skips the white space after it.
func (p *extensionParser) run(element string) string {
	n := 0
	for n < len(p.rest) && octets[p.rest[n]]&tokenByte != 0 {
		n++
	}
	if n == 0 {
		p.fail(element + " is missing")
		return ""
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	p.skip(" \t")
	return token
}

// quoted parses a quoted-string, in which "\" escapes the next character.
func (p *extensionParser) quoted() string {
	var unescaped []byte
	body := p.rest[1:]
	from := 0 // body[:from] is in unescaped
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			value := body[from:i]
			if unescaped != nil {
				value = string(append(unescaped, value...))
			}
			if !ValidToken(value) {
				p.fail("quoted value is not a token")
			}
			p.rest = body[i+1:]
			return value
		case '\\':
			unescaped = append(unescaped, body[from:i]...)
			from = i + 1
			i++
		}
	}
	p.fail("quote is not closed")
	return ""
}

// AppendExtension appends e to dst as a member of a Sec-WebSocket-Extensions
// list. It returns dst unchanged if a name or a value is not a token.
func AppendExtension(dst []byte, e Extension) []byte {
	if !e.valid() {
		return dst
	}
	dst = appendStrings(dst, e.Name)
	for _, p := range e.Params {
		dst = appendStrings(dst, "; ", p.Name)
		if p.HasValue || p.Value != "" {
			dst = appendStrings(dst, "=", p.Value)
		}
	}
	return dst
}

func (e Extension) valid() bool {
	for _, p := range e.Params {
		if !ValidToken(p.Name) || (p.HasValue || p.Value != "") && !ValidToken(p.Value) {
			return false
		}
	}
	return ValidToken(e.Name)
}

// parseExtensions parses all Sec-WebSocket-Extensions lines as one list. A list
// without members is an error unless there is no line.
func (h Header) parseExtensions() (list []Extension, err error) {
	var p extensionParser
	lines := 0
	for _, f := range h {
		if !equalFold(f.Name, fieldExtensions) {
			continue
		}
		lines++
		if list, err = p.parse(list, f.Value); err != nil {
			return nil, err
		}
	}
	if lines > 0 && len(list) == 0 {
		return nil, &ExtensionError{Reason: "empty list"}
	}
	return list, nil
}
