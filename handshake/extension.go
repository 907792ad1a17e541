package handshake

import (
	"strconv"
	"strings"
)

// Extension is one member of a Sec-WebSocket-Extensions list: an offer in a
// request, an extension in effect in a response (RFC 6455, Section 9.1).
type Extension struct {
	Name   string
	Params []Param
}

// Param is one parameter of an extension. HasValue tells "x" from "x=…"; a Value that is not
// empty counts as one.
type Param struct {
	Name, Value string
	HasValue    bool
}

// ExtensionError reports a list of extensions that breaks the grammar.
type ExtensionError struct {
	Value  string // the list
	Reason string
}

func (e *ExtensionError) Error() string {
	return "websocket: extension list " + quote(e.Value) + ": " + e.Reason
}

// ParseExtensions appends the extensions of a Sec-WebSocket-Extensions value to dst, in order.
// A value is one header line or several joined with commas. A quoted
// string is unquoted and must be a token then (RFC 6455, Section 9.1). Empty members
// are skipped. The strings are parts of value where that is possible.
//
// Extensions and parameters together may be 128. The error is an [*ExtensionError];
// dst is returned as it was.
func ParseExtensions(dst []Extension, value string) ([]Extension, error) {
	var p extensionParser
	return p.parse(dst, value)
}

// extensionParser walks over a list once, whatever its quotes and backslashes.
type extensionParser struct {
	text   string
	rest   string // the end of text that is not parsed yet
	parts  int    // extensions and parameters seen, in all texts
	reason string // the first fault
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
		if list == nil { // what browsers offer costs one allocation
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

// take removes c and the white space after it from the front.
func (p *extensionParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.skip(" \t")
	return true
}

// extension reads extension-token *( ";" extension-param ) and the comma after it. params is
// room for its parameters.
func (p *extensionParser) extension(params []Param) (e Extension) {
	e.Name = p.token("the name of an extension")
	for p.reason == "" && p.take(';') {
		params = append(params, p.param())
		e.Params = params
	}
	if p.reason == "" && p.rest != "" && !p.take(',') {
		p.fail("only a comma, a semicolon or an equals sign may follow a token")
	}
	return e
}

// param reads token [ "=" (token | quoted-string) ].
func (p *extensionParser) param() (param Param) {
	param.Name = p.token("the name of a parameter")
	if p.reason != "" || !p.take('=') {
		return param
	}
	param.HasValue = true
	if strings.HasPrefix(p.rest, `"`) {
		param.Value = p.quoted()
		p.skip(" \t")
	} else {
		param.Value = p.run("the value of a parameter")
	}
	return param
}

// token reads the token that begins an extension or a parameter.
func (p *extensionParser) token(what string) string {
	if p.parts++; p.parts > maxListMembers {
		p.fail("more than " + strconv.Itoa(maxListMembers) + " extensions and parameters")
		return ""
	}
	return p.run(what)
}

func (p *extensionParser) run(what string) string {
	n := 0
	for n < len(p.rest) && octets[p.rest[n]]&tokenByte != 0 {
		n++
	}
	if n == 0 {
		p.fail(what + " is missing")
		return ""
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	p.skip(" \t")
	return token
}

// quoted reads a quoted-string, with "\" before any character that is meant literally.
func (p *extensionParser) quoted() string {
	var unescaped []byte
	body := p.rest[1:]
	from := 0 // what precedes it is in unescaped
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			value := body[from:i]
			if unescaped != nil {
				value = string(append(unescaped, value...))
			}
			if !ValidToken(value) {
				p.fail("a quoted value is not a token")
			}
			p.rest = body[i+1:]
			return value
		case '\\':
			unescaped = append(unescaped, body[from:i]...)
			from = i + 1
			i++
		}
	}
	p.fail("a quote is not closed")
	return ""
}

// AppendExtension appends e as a member of a Sec-WebSocket-Extensions list. It
// appends nothing if a name or a value is not a token.
func AppendExtension(dst []byte, e Extension) []byte {
	if !e.valid() {
		return dst
	}
	dst = append(dst, e.Name...)
	for _, p := range e.Params {
		dst = append(dst, "; "...)
		dst = append(dst, p.Name...)
		if p.HasValue || p.Value != "" {
			dst = append(dst, '=')
			dst = append(dst, p.Value...)
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

// parseExtensions parses all Sec-WebSocket-Extensions lines as one list, which must have
// a member if there is a line.
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
		return nil, &ExtensionError{Reason: "it is empty"}
	}
	return list, nil
}
