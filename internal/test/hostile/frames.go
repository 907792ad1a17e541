package hostile

import (
	"math"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// lengths declare lengths that no receiver can allocate.
var lengths = []Attack{
	sending(1, "2^63-1", failed(wire.MessageTooBig, "Limits.Message"), func(p *peer) string { return p.announce(wire.Binary, math.MaxInt64, true) }),
	{Profile: 1, Name: "2^64-1", Against: Both, Want: failed(wire.ProtocolError, "length"), play: func(p *peer) {
		p.open()
		header := []byte(p.announce(wire.Binary, math.MaxInt64, true))
		header[2] = 0xff // its most significant bit must be 0
		p.send(string(header))
		p.drain()
	}},
	sending(1, "the greatest that is allowed", late, func(p *peer) string { return p.announce(wire.Binary, MessageLimit, true) }),
	sending(1, "in a second fragment", failed(wire.MessageTooBig, "Limits.Message"), func(p *peer) string {
		return p.part(wire.Text, "a", false) + p.announce(wire.Continuation, math.MaxInt64, false)
	}),
	sending(1, "of a Ping", failed(wire.ProtocolError, "125"), func(p *peer) string { return p.announce(wire.Ping, math.MaxInt64, true) }),
}

// MessageLimit, in bytes, is the Limits.Message that a victim should have. The
// attacks declare messages of this length, which must not be refused at the
// header.
const MessageLimit = 256 << 10

// fragments are messages of very many fragments.
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

// listen starts to read and discard.
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

// floods send Pings and do not read the answers.
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

// pushes make the victim send more than the attacker reads.
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

// pongs are unsolicited. They are allowed, and must be cheap.
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
