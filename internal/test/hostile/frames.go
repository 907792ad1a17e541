package hostile

import (
	"math"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// lengths announce what would be ruinous to make room for.
var lengths = []Attack{
	{Profile: 1, Name: "2^63-1", Against: Both, Want: failed(wire.MessageTooBig, "Limits.Message"), play: func(p *peer) {
		p.open()
		p.send(p.announce(wire.Binary, math.MaxInt64, true))
		p.drain()
	}},
	{Profile: 1, Name: "2^64-1", Against: Both, Want: failed(wire.ProtocolError, "length"), play: func(p *peer) {
		p.open()
		header := []byte(p.announce(wire.Binary, math.MaxInt64, true))
		header[2] = 0xff // its most significant bit must be 0
		p.send(string(header))
		p.drain()
	}},
	{Profile: 1, Name: "as much as may be", Against: Both, Want: late, play: func(p *peer) {
		p.open()
		p.send(p.announce(wire.Binary, MessageLimit, true))
		p.drain()
	}},
	{Profile: 1, Name: "in a second fragment", Against: Both, Want: failed(wire.MessageTooBig, "Limits.Message"), play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "a", false), p.announce(wire.Continuation, math.MaxInt64, false))
		p.drain()
	}},
	{Profile: 1, Name: "of a Ping", Against: Both, Want: failed(wire.ProtocolError, "125"), play: func(p *peer) {
		p.open()
		p.send(p.announce(wire.Ping, math.MaxInt64, true))
		p.drain()
	}},
}

// MessageLimit is, in bytes, what a victim's Limits.Message should be: the
// greatest message that is announced and not refused is of this length.
const MessageLimit = 1 << 20

// fragments are many.
var fragments = []Attack{
	{Profile: 2, Name: "empty", Against: Both, Want: tooManyFragments, play: func(p *peer) { p.fragments(wire.Text, "") }},
	{Profile: 2, Name: "one byte", Against: Both, Want: tooManyFragments, play: func(p *peer) { p.fragments(wire.Binary, "a") }},
	{Profile: 2, Name: "a byte of UTF-8 each", Against: Both, Want: tooManyFragments, play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "", false))
		p.listen()
		p.flood(p.part(wire.Continuation, "\xc3", false) + p.part(wire.Continuation, "\xa9", false))
	}},
	{Profile: 2, Name: "with Pings between them", Against: Both, Want: tooManyFragments, play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "", false))
		p.listen()
		p.flood(p.part(wire.Continuation, "", false) + p.frame(wire.Ping, ""))
	}},
}

var tooManyFragments = failed(wire.PolicyViolation, "fragments")

func (p *peer) fragments(op wire.Opcode, payload string) {
	p.open()
	p.send(p.part(op, payload, false))
	p.listen()
	p.flood(p.part(wire.Continuation, payload, false))
}

// listen reads from now on, beside what is sent.
func (p *peer) listen() {
	go func() {
		var scrap [2 << 10]byte
		for {
			if _, err := p.nc.Read(scrap[:]); err != nil {
				p.cut()
				return
			}
		}
	}()
}

// floods are of Pings that have to be answered to somebody who does not read.
var floods = []Attack{
	{Profile: 3, Name: "long", Against: Both, Deaf: true, Want: lost("WriteTimeout"), play: func(p *peer) { p.pings(strings.Repeat("?", 125)) }},
	{Profile: 3, Name: "empty", Against: Both, Deaf: true, Want: lost("WriteTimeout"), play: func(p *peer) { p.pings("") }},
}

func (p *peer) pings(payload string) {
	p.deaf()
	p.open()
	p.flood(p.frame(wire.Ping, payload))
	p.hold()
}

// pushes make the victim send more than the attacker takes.
var pushes = []Attack{
	{Profile: 4, Name: "not a byte", Against: Both, Deaf: true, Want: lost("WriteTimeout", "MaxBacklog"), play: func(p *peer) {
		p.deaf()
		p.open()
		p.send(p.frame(wire.Text, Push))
		p.hold()
	}},
	{Profile: 4, Name: "sending on", Against: Both, Deaf: true, Want: lost("WriteTimeout", "MaxBacklog"), play: func(p *peer) {
		p.deaf()
		p.open()
		p.send(p.frame(wire.Text, Push))
		p.flood(p.frame(wire.Text, "and you?"))
		p.hold()
	}},
	{Profile: 4, Name: "questions without end", Against: Both, Deaf: true, Want: lost("WriteTimeout", "MaxBacklog"), play: func(p *peer) {
		p.deaf()
		p.open()
		p.flood(p.frame(wire.Binary, strings.Repeat("?", 4<<10)))
		p.hold()
	}},
}

// compression is not agreed, so that nothing may be inflated.
var compression = []Attack{
	{Profile: 9, Name: "an offer", Against: Server, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=8, permessage-deflate")
		p.send(p.closing(1000, ""))
		p.drain()
	}},
	{Profile: 9, Name: "a bomb", Against: Both, Want: notAgreed, play: func(p *peer) { p.deflated(bomb) }},
	{Profile: 9, Name: "empty blocks without end", Against: Both, Want: notAgreed, play: func(p *peer) {
		p.deflated(strings.Repeat("\x00\x00\x00\xff\xff", 1000))
	}},
	{Profile: 9, Name: "BFINAL", Against: Both, Want: notAgreed, play: func(p *peer) { p.deflated("\x03\x00") }},
	{Profile: 9, Name: "BFINAL, and then more", Against: Both, Want: notAgreed, play: func(p *peer) { p.deflated("\x03\x00" + bomb) }},
	{Profile: 9, Name: "RSV1 on a fragment that is not the first", Against: Both, Want: notAgreed, play: func(p *peer) {
		p.open()
		p.send(p.part(wire.Text, "a", false), p.compressed(wire.Continuation, "\x00"))
		p.drain()
	}},
	{Profile: 9, Name: "RSV1 on a Ping", Against: Both, Want: notAgreed, play: func(p *peer) {
		p.open()
		p.send(p.compressed(wire.Ping, "\x00"))
		p.drain()
	}},
}

var notAgreed = failed(wire.ProtocolError, "reserved bit", "RSV")

// bomb is a stream that is inflated to a thousand times its length: one byte,
// and then copies of 258 bytes from a distance of 1, with fixed codes.
var bomb = "\x63\x18\x05" + strings.Repeat("\xa3\x60\x14\x8c", 2000)

func (p *peer) deflated(payload string) {
	if p.Victim == Server {
		p.open("Sec-WebSocket-Extensions: permessage-deflate")
	} else {
		p.open()
	}
	p.listen()
	p.send(p.compressed(wire.Binary, payload))
	p.flood(p.compressed(wire.Binary, payload))
}

// compressed returns a frame with RSV1.
func (p *peer) compressed(op wire.Opcode, payload string) string {
	h := p.header(op, int64(len(payload)), true)
	h.RSV = wire.RSV1
	return string(wire.AppendFrame(nil, h, []byte(payload)))
}

// pongs answer nothing. They are allowed, and cost nothing.
var pongs = []Attack{
	{Profile: 11, Name: "not asked for", Against: Both, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		p.manyPongs(strings.Repeat("!", 125))
	}},
	{Profile: 11, Name: "doubled", Against: Both, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open()
		p.send(p.frame(wire.Text, Ping))
		p.manyPongs(string(p.await(wire.Ping)))
	}},
}

func (p *peer) manyPongs(payload string) {
	const many = 100
	chunk := strings.Repeat(p.frame(wire.Pong, payload), many)
	for range many {
		p.send(chunk)
	}
	p.send(p.closing(1000, ""))
	p.drain()
}
