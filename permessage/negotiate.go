package permessage

import (
	"errors"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire/deflate"
)

// This file negotiates (RFC 7692, Sections 5 and 7.1). Its functions depend on
// the configuration and their arguments only.

// offers returns a client's offers, the preferred one first. Each lets the
// server limit the client's window. The last one also suits a server with a
// window of 15 bits only.
func (o *Deflate) offers() []params {
	all := params{client: side{bareBits: true}}
	if o.Mode == NoContextTakeover {
		all.server.noContextTakeover, all.client.noContextTakeover = true, true
		return []params{all}
	}
	if bits := o.windowBits(); bits < deflate.MaxWindowBits {
		limited := all
		limited.server.windowBits = bits
		return []params{limited, all}
	}
	return []params{all}
}

// answer returns a server's answer to the first offer that is valid (RFC 7692,
// Section 5), and whether there is one.
func (o *Deflate) answer(offers []handshake.Extension) (params, bool) {
	for _, e := range offers {
		offer, err := parseParams(e)
		if err != nil || offer.server.bareBits {
			continue
		}
		return o.answerTo(offer), true
	}
	return params{}, false
}

// answerTo returns the answer to a valid offer. Parameters of the offer are
// repeated, with the smaller window. A client that cannot limit its window does
// not use earlier messages: the server then need not keep 32 KiB of them.
func (o *Deflate) answerTo(offer params) (a params) {
	bits := o.windowBits()
	a.server.noContextTakeover = offer.server.noContextTakeover || o.Mode == NoContextTakeover
	if offer.server.windowBits > 0 {
		a.server.windowBits = min(bits, offer.server.windowBits)
	}
	a.client.noContextTakeover = offer.client.noContextTakeover || o.Mode == NoContextTakeover
	switch {
	case !offer.client.hasBits():
		a.client.noContextTakeover = a.client.noContextTakeover || bits < deflate.MaxWindowBits
	case offer.client.windowBits > 0:
		a.client.windowBits = min(bits, offer.client.windowBits)
	case bits < deflate.MaxWindowBits:
		a.client.windowBits = bits
	}
	return a
}

// agreed returns the parameters of a server's answer, which the server sends or
// the client has received: one extension without parameters that an answer
// cannot have. offers are the client's, nil on a server.
func agreed(answer []handshake.Extension, offers []params) (params, error) {
	if len(answer) != 1 {
		return params{}, errors.New("want one extension, " + extensionName)
	}
	p, err := parseParams(answer[0])
	switch {
	case err != nil:
		return params{}, err
	case p.server.bareBits, p.client.bareBits:
		return params{}, errors.New("max_window_bits has no value")
	}
	for i, offer := range offers {
		unmet := p.answers(offer)
		if unmet == "" {
			return p, nil
		}
		if i == 0 {
			err = errors.New(unmet)
		}
	}
	return p, err
}

// answers returns why the answer p does not accept offer, "" if it does (RFC
// 7692, Section 7.1).
func (p params) answers(offer params) string {
	switch {
	case offer.server.noContextTakeover && !p.server.noContextTakeover:
		return "server_no_context_takeover was offered and is missing"
	case offer.server.windowBits > 0 && p.server.windowBits == 0:
		return "server_max_window_bits was offered and is missing"
	case offer.server.windowBits > 0 && p.server.windowBits > offer.server.windowBits:
		return "server_max_window_bits is larger than offered"
	case p.client.windowBits > 0 && !offer.client.hasBits():
		return "client_max_window_bits was not offered"
	case offer.client.windowBits > 0 && p.client.windowBits > offer.client.windowBits:
		return "client_max_window_bits is larger than offered"
	}
	return ""
}
