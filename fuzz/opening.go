package fuzz

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// Opening reads data as the parts of an opening handshake: a host, a target,
// names, values. The other endpoint must parse the results of
// handshake.AppendRequest and handshake.AppendResponse to the same parts, with
// no additional line; invalid parts must be refused.
func Opening(data []byte) int {
	p := &program{data}
	o := &handshake.ClientOffer{Host: "server.example.com", Target: "/chat", Key: sampleKey}
	flags := p.byte()
	if flags&1 != 0 {
		o.Host = p.text()
	}
	if flags&2 != 0 {
		o.Target = p.text()
	}
	if flags&4 != 0 {
		o.Key = p.text()
	}
	for range flags >> 3 & 3 {
		o.Subprotocols = append(o.Subprotocols, p.text())
	}
	for range flags >> 5 & 3 {
		o.Extensions = append(o.Extensions, p.extension())
	}
	o.Header = p.header(flags >> 7)
	if !checkRequest(o) {
		return dull
	}

	// The response of a server that may accept more than the offer.
	a := &handshake.ServerAnswer{Key: o.Key}
	flags = p.byte()
	if i := int(flags & 3); i > 0 && i <= len(o.Subprotocols) {
		a.Subprotocol = o.Subprotocols[i-1]
	} else if i > 0 {
		a.Subprotocol = p.text()
	}
	if flags&4 != 0 {
		a.Extensions = o.Extensions
	}
	if flags&8 != 0 {
		a.Extensions = append(slices.Clone(a.Extensions), p.extension())
	}
	a.Header = p.header(flags >> 4 & 1)
	checkResponse(o, a)
	return interesting
}

// extension returns an extension with a parameter, perhaps.
func (p *program) extension() handshake.Extension {
	e := handshake.Extension{Name: p.text()}
	switch p.byte() % 3 {
	case 1:
		e.Params = []handshake.Param{{Name: p.text()}}
	case 2:
		e.Params = []handshake.Param{{Name: p.text(), Value: p.text(), HasValue: true}}
	}
	return e
}

// header returns n further fields.
func (p *program) header(n byte) map[string][]string {
	h := make(map[string][]string)
	for range n {
		h[p.text()] = []string{p.text(), p.text()}
	}
	return h
}

// checkRequest writes the request of an offer, and reports whether that could be
// done.
func checkRequest(o *handshake.ClientOffer) bool {
	b, err := handshake.AppendRequest([]byte("kept"), o)
	legal := isAuthority(o.Host) && matches(targetForm, o.Target) && o.Target[0] == '/' && matches(keyForm, o.Key) &&
		mayBeAdded(o.Header) && areExtensions(o.Extensions)
	for i, s := range o.Subprotocols {
		legal = legal && matches(token, s) && !slices.Contains(o.Subprotocols[:i], s)
	}
	checkAppended(b, err, legal, o)
	if err != nil {
		return false
	}
	b = b[len("kept"):]
	p := handshake.RequestParser{Limits: handshake.Limits{Bytes: len(b)}}
	r, n, err := p.Parse(b)
	if err != nil || r == nil || n != len(b) {
		violated("a request that is written is one head", "%+v as %q: %+v, %d, %v", o, b, r, n, err)
	}
	for name := range o.Header {
		if sameName(name, "Expect") {
			return false // it may be sent, but is refused
		}
	}
	u, err := handshake.ValidateRequest(r)
	if err != nil || r.Target != o.Target || r.Host() != o.Host || u.Key != o.Key ||
		!slices.Equal(u.Subprotocols, o.Subprotocols) || !sameExtensions(u.Extensions, o.Extensions) {
		violated("the server parses the client's request", "%+v as %q: %+v, %v", o, b, u, err)
	}
	checkAdded(b, r.Header, o.Header, ownLines(5, len(o.Subprotocols), len(o.Extensions)))
	return true
}

// checkResponse writes the response of an acceptance.
func checkResponse(o *handshake.ClientOffer, a *handshake.ServerAnswer) {
	b, err := handshake.AppendResponse([]byte("kept"), a)
	legal := (a.Subprotocol == "" || matches(token, a.Subprotocol)) && mayBeAdded(a.Header) && areExtensions(a.Extensions)
	checkAppended(b, err, legal, a)
	if err != nil {
		return
	}
	b = b[len("kept"):]
	p := handshake.ResponseParser{Limits: handshake.Limits{Bytes: len(b)}}
	r, n, err := p.Parse(b)
	if err != nil || r == nil || n != len(b) {
		violated("a response that is written is one head", "%+v as %q: %+v, %d, %v", a, b, r, n, err)
	}
	got, err := handshake.ValidateResponse(r, o)
	offered := a.Subprotocol == "" || slices.Contains(o.Subprotocols, a.Subprotocol)
	for _, e := range a.Extensions {
		offered = offered && slices.ContainsFunc(o.Extensions, func(x handshake.Extension) bool { return sameName(x.Name, e.Name) })
	}
	if (err == nil) != offered || offered && (got.Subprotocol != a.Subprotocol || !sameExtensions(got.Extensions, a.Extensions)) {
		violated("the client accepts the server's choice from its offer, and nothing else", "%+v, %+v as %q: %+v, %v", o, a, b, got, err)
	}
	checkAdded(b, r.Header, a.Header, ownLines(3, len(a.Subprotocol), len(a.Extensions)))
}

// ownLines returns the number of lines that every handshake has.
func ownLines(n, subprotocols, extensions int) int {
	if subprotocols > 0 {
		n++
	}
	if extensions > 0 {
		n++
	}
	return n
}

// checkAppended checks the result of an append function.
func checkAppended(b []byte, err error, legal bool, what any) {
	if (err == nil) != legal {
		violated("valid parts are written, others are refused", "%+v: error %v, want legal %v", what, err, legal)
	}
	if !bytes.HasPrefix(b, []byte("kept")) || err != nil && len(b) != len("kept") {
		violated("with an error nothing is appended", "%+v: %q, %v", what, b, err)
	}
	if refused := (*handshake.FieldError)(nil); err != nil && (!errors.As(err, &refused) || strings.ContainsAny(err.Error(), "\r\n\x00\x1b")) {
		violated("an invalid part is a *FieldError, fit for a log", "%T: %q", err, err.Error())
	}
}

// checkAdded wants a head to have the fields that were added to the handshake's
// own, and no line more.
func checkAdded(b []byte, h handshake.Header, added map[string][]string, own int) {
	lines := own
	for name, list := range added {
		lines += len(list)
		got := values(h, name)
		for _, value := range list {
			if !slices.Contains(got, strings.Trim(value, " \t")) {
				violated("a field that is added is read back", "%q: %q in %q", name, value, b)
			}
		}
	}
	if len(h) != lines || bytes.Count(b, []byte("\r\n")) != lines+2 || bytes.Count(b, []byte("\n")) != lines+2 {
		violated("no value becomes a line of its own", "%q has %d fields, want %d", b, len(h), lines)
	}
}

// mayBeAdded reports whether a handshake may have these additional fields.
func mayBeAdded(h map[string][]string) bool {
	for name, list := range h {
		own := strings.HasPrefix(asciiLower(name), "sec-websocket-")
		for _, reserved := range []string{"host", "upgrade", "connection", "content-length", "transfer-encoding"} {
			own = own || asciiLower(name) == reserved
		}
		if own || !matches(token, name) {
			return false
		}
		for _, value := range list {
			if !matches(fieldValue, value) {
				return false
			}
		}
	}
	return true
}

// areExtensions reports whether all names and values are tokens.
func areExtensions(list []handshake.Extension) bool {
	for _, e := range list {
		if !matches(token, e.Name) {
			return false
		}
		for _, p := range e.Params {
			if !matches(token, p.Name) || p.HasValue && !matches(token, p.Value) {
				return false
			}
		}
	}
	return true
}
