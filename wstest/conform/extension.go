package conform

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const permessageDeflate = "permessage-deflate"

// compression is the negotiation of permessage-deflate in a case.
type compression struct {
	demands []demand // on the peer's compression, the preferred one first
}

// A demand restricts the peer's compression (RFC 7692, Sections 7.1.1 and
// 7.1.2).
type demand struct {
	noContextTakeover bool
	windowBits        int // 0: no restriction
}

func (d demand) String() string {
	switch {
	case d.noContextTakeover && d.windowBits > 0:
		return fmt.Sprintf("no context takeover, and a window of %d bits", d.windowBits)
	case d.noContextTakeover:
		return "no context takeover"
	case d.windowBits > 0:
		return fmt.Sprintf("a window of %d bits", d.windowBits)
	}
	return "nothing in particular"
}

// params returns the demand as parameters for the peer's side.
func (d demand) params(side string) string {
	var b strings.Builder
	if d.noContextTakeover {
		b.WriteString("; " + side + "_no_context_takeover")
	}
	if d.windowBits > 0 {
		fmt.Fprintf(&b, "; %s_max_window_bits=%d", side, d.windowBits)
	}
	return b.String()
}

// An agreement is the result of the negotiation, with the judge's codec.
type agreement struct {
	header string
	out    *deflater
	in     *inflater
	buf    []byte
	flags  []string // of the result
}

func newAgreement(header string, out, in sideParams) *agreement {
	return &agreement{
		header: header,
		out:    newDeflater(out.bits(), !out.noContextTakeover),
		in:     newInflater(in.bits(), !in.noContextTakeover),
	}
}

// compress returns the compressed payload of a message. The caller owns it.
func (a *agreement) compress(p []byte) []byte { return a.out.message(make([]byte, 0, len(p)/2+64), p) }

// inflate returns a message, which is valid until the next call.
func (a *agreement) inflate(p []byte) ([]byte, error) {
	var err error
	a.buf, err = a.in.message(a.buf[:0], p, maxMessage)
	return a.buf, err
}

// sideParams are the parameters for one side's compression.
type sideParams struct {
	noContextTakeover bool
	hasBits           bool
	windowBits        int // 0 if hasBits, but without a value
}

func (p sideParams) bits() int {
	if p.windowBits == 0 {
		return 15
	}
	return p.windowBits
}

// deflateParams is permessage-deflate with its parameters, as an offer or as an
// answer.
type deflateParams struct{ server, client sideParams }

// offer returns the Sec-WebSocket-Extensions of the judge as a client.
func (c *compression) offer() string {
	var offers []string
	for _, d := range c.demands {
		offers = append(offers, permessageDeflate+"; client_no_context_takeover; client_max_window_bits"+d.params("server"))
	}
	return strings.Join(offers, ", ")
}

// agree returns the agreement of a server's Sec-WebSocket-Extensions, nil if it
// accepts nothing.
func (c *compression) agree(lines []string) (*agreement, error) {
	if len(lines) > 1 {
		return nil, fmt.Errorf("there are %d Sec-WebSocket-Extensions fields", len(lines))
	}
	answer := strings.Join(lines, "")
	extensions, err := parseExtensions(answer)
	if err != nil {
		return nil, err
	}
	if len(extensions) == 0 { // no field, or an empty one, which accepts nothing
		return nil, nil
	}
	for _, e := range extensions {
		if c == nil || e.name != permessageDeflate {
			return nil, fmt.Errorf("the extension %.100q was accepted, and not offered: %.200q", e.name, answer)
		}
	}
	if len(extensions) > 1 {
		return nil, fmt.Errorf("%s was accepted %d times: %.200q", permessageDeflate, len(extensions), answer)
	}
	p, err := extensions[0].deflate()
	if err != nil {
		return nil, err
	}
	if p.client.hasBits && p.client.windowBits == 0 || p.server.hasBits && p.server.windowBits == 0 {
		return nil, fmt.Errorf("an answer has a window without a size: %.200q", answer)
	}
	a := newAgreement(answer, p.client, p.server)
	a.flags = c.unmet(p)
	return a, nil
}

// unmet returns the demands that a server's answer does not meet, none if it
// meets those of one offer. A server accepts an offer by repeating the
// parameters for the server (RFC 7692, 7.1.1.1 and 7.1.2.1).
func (c *compression) unmet(answer deflateParams) []string {
	var first []string
	for i, d := range c.demands {
		var flags []string
		if d.noContextTakeover && !answer.server.noContextTakeover {
			flags = append(flags, "the server accepted an offer with server_no_context_takeover, and its answer is without it (RFC 7692, 7.1.1.1)")
		}
		switch bits := answer.server.windowBits; {
		case d.windowBits == 0:
		case bits == 0:
			flags = append(flags, fmt.Sprintf("the server accepted an offer with server_max_window_bits=%d, and its answer is without it (RFC 7692, 7.1.2.1)", d.windowBits))
		case bits > d.windowBits:
			flags = append(flags, fmt.Sprintf("the server accepted an offer with server_max_window_bits=%d, and its answer has %d (RFC 7692, 7.1.2.1)", d.windowBits, bits))
		}
		if len(flags) == 0 {
			return nil
		}
		if i == 0 {
			first = flags
		}
	}
	return first
}

// answer returns the agreement of the judge as a server to a client's offers,
// nil if it accepts none.
func (c *compression) answer(lines []string) (*agreement, error) {
	if c == nil {
		return nil, nil
	}
	var offers []deflateParams
	for _, line := range lines {
		extensions, err := parseExtensions(line)
		if err != nil {
			return nil, err
		}
		for _, e := range extensions {
			if e.name != permessageDeflate {
				continue
			}
			if p, err := e.deflate(); err == nil && !(p.server.hasBits && p.server.windowBits == 0) {
				offers = append(offers, p) // an invalid offer is declined (RFC 7692, Section 7)
			}
		}
	}
	for _, d := range c.demands {
		for _, offer := range offers {
			if d.windowBits > 0 && !offer.client.hasBits || offer.client.windowBits > 0 && offer.client.windowBits < d.windowBits {
				continue
			}
			echoed := demand{offer.server.noContextTakeover, offer.server.windowBits}
			header := permessageDeflate + echoed.params("server") + d.params("client")
			return newAgreement(header, offer.server, sideParams{noContextTakeover: d.noContextTakeover, windowBits: d.windowBits}), nil
		}
	}
	return nil, nil
}

type extension struct {
	name   string
	params []param
}

type param struct {
	name, value string
	hasValue    bool
}

// parseExtensions parses a Sec-WebSocket-Extensions header field (RFC 6455,
// Section 9.1). A quoted string must hold a token.
func parseExtensions(line string) ([]extension, error) {
	var all []extension
	for element := range strings.SplitSeq(line, ",") {
		if strings.TrimSpace(element) == "" {
			continue
		}
		var e extension
		for i, part := range strings.Split(element, ";") {
			name, value, hasValue := strings.Cut(part, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if unquoted, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
				value = unquoted
			}
			if !isToken(name) || hasValue && !isToken(value) || i == 0 && hasValue {
				return nil, fmt.Errorf("Sec-WebSocket-Extensions cannot be parsed: %.200q", line)
			}
			if i == 0 {
				e.name = strings.ToLower(name)
			} else {
				e.params = append(e.params, param{strings.ToLower(name), value, hasValue})
			}
		}
		all = append(all, e)
	}
	return all, nil
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// deflate reads the parameters of permessage-deflate (RFC 7692, Section 7.1).
func (e extension) deflate() (deflateParams, error) {
	var p deflateParams
	var seen []string
	for _, param := range e.params {
		bad := fmt.Errorf("permessage-deflate has a parameter that it cannot have: %.100q", param.name+"="+param.value)
		if slices.Contains(seen, param.name) {
			return p, fmt.Errorf("permessage-deflate has the parameter %.100q twice", param.name)
		}
		seen = append(seen, param.name)
		side := &p.server
		if strings.HasPrefix(param.name, "client_") {
			side = &p.client
		}
		switch param.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if param.hasValue {
				return p, bad
			}
			side.noContextTakeover = true
		case "server_max_window_bits", "client_max_window_bits":
			side.hasBits = true
			if !param.hasValue {
				continue
			}
			n, err := strconv.Atoi(param.value)
			if err != nil || n < 8 || n > 15 || strconv.Itoa(n) != param.value {
				return p, bad
			}
			side.windowBits = n
		default:
			return p, bad
		}
	}
	return p, nil
}
