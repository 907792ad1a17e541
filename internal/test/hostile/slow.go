package hostile

import (
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// halves send half of an element and fall silent.
var halves = []Attack{
	{Profile: 5, Name: "nothing at all", Against: Both, Want: refused("HandshakeTimeout"), play: func(p *peer) { p.drain() }},
	{Profile: 5, Name: "of a request", Against: Server, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.send(request(p.Target, asking()...)[:70])
		p.drain()
	}},
	{Profile: 5, Name: "of a response", Against: Client, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		if key, ok := p.key(); ok {
			p.send(response(accepting(key)...)[:70])
		}
		p.drain()
	}},
	half("of a header", func(p *peer) string { return p.frame(wire.Text, "a")[:1] }),
	half("of a length", func(p *peer) string { return p.announce(wire.Text, 70_000, true)[:5] }),
	half("of a Ping", func(p *peer) string { return p.frame(wire.Ping, "Hello")[:4] }),
	half("of a Close", func(p *peer) string { return p.closing(1000, "bye")[:3] }),
	half("of a payload", func(p *peer) string { return p.announce(wire.Binary, 70_000, true) + strings.Repeat("a", 35_000) }),
	half("of a message", func(p *peer) string { return p.part(wire.Binary, "a", false) }),
	half("of a second fragment", func(p *peer) string {
		return p.part(wire.Binary, "a", false) + p.announce(wire.Continuation, 10, true) + "a"
	}),
}

// half sends half of an element on an open connection.
func half(name string, part func(p *peer) string) Attack { return sending(5, name, late, part) }

// drips send byte by byte, with a pause after each or without.
var drips = []Attack{
	{Profile: 10, Name: "a request", Against: Server, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.send(strings.TrimSuffix(request(p.Target, "X: "), "\r\n\r\n"))
		p.dripOn("x")
	}},
	{Profile: 10, Name: "a response", Against: Client, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.key()
		p.send("HTTP/1.1 101 Switching Protocols\r\nX: ")
		p.dripOn("x")
	}},
	{Profile: 10, Name: "a payload", Against: Both, Want: late, play: func(p *peer) {
		p.open()
		p.send(p.announce(wire.Binary, MessageLimit, true))
		p.dripOn("x")
	}},
	{Profile: 10, Name: "a fragmented message", Against: Both, Want: late, play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Binary, "", false))
		p.dripOn(p.part(wire.Continuation, "x", false))
	}},
	{Profile: 10, Name: "a message with Pings in it", Against: Both, Want: late, play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "", false))
		p.dripOn(p.frame(wire.Ping, ""))
	}},
	{Profile: 10, Name: "a Ping", Against: Both, Want: late, play: func(p *peer) {
		p.open()
		p.send(p.announce(wire.Ping, 125, true))
		p.dripOn("x")
	}},
	{Profile: 10, Name: "a conversation, without a pause", Against: Both, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		talk := p.frame(wire.Text, strings.Repeat("ab", 100)) + p.frame(wire.Ping, "c") +
			p.part(wire.Binary, "d", false) + p.part(wire.Continuation, "e", true) + p.closing(1000, "")
		for i := range len(talk) {
			p.send(talk[i : i+1])
		}
		p.drain()
	}},
}

// slowTLS are incomplete TLS handshakes.
var slowTLS = []Attack{
	{Profile: 14, Name: "nothing", Against: Both, BelowTLS: true, Want: refused("HandshakeTimeout"), play: func(p *peer) { p.drain() }},
	{Profile: 14, Name: "half a ClientHello", Against: Server, BelowTLS: true, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.send(clientHello[:20])
		p.drain()
	}},
	{Profile: 14, Name: "a slow ClientHello", Against: Server, BelowTLS: true, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.dripOn(clientHello)
	}},
	{Profile: 14, Name: "half a ServerHello", Against: Client, BelowTLS: true, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.more()
		p.send("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
		p.drain()
	}},
	{Profile: 14, Name: "a slow ServerHello", Against: Client, BelowTLS: true, Want: refused("HandshakeTimeout"), play: func(p *peer) {
		p.more()
		p.send("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
		p.dripOn("x")
	}},
	{Profile: 14, Name: "no TLS", Against: Both, BelowTLS: true, Want: refused(), play: func(p *peer) {
		if p.Victim == Server {
			p.send(request(p.Target, asking()...))
		} else {
			p.more()
			p.send("HTTP/1.1 400 Bad Request\r\n\r\n")
		}
		p.drain()
	}},
}

// clientHello is the beginning of a ClientHello (RFC 8446, Section 4.1.2) in a
// record of maximal length.
var clientHello = "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + strings.Repeat("\x00", 16<<10)
