package hostile

import (
	"compress/flate"
	"strings"
	"sync"

	"github.com/fibersock/fibersock/wire"
)

// compression are attacks by permessage-deflate (RFC 7692), which the victim
// has, and which the attacker agrees on or not.
var compression = []Attack{
	{Profile: 9, Name: "an offer", Against: Server, Want: closed(wire.NormalClosure), play: func(p *peer) {
		p.open("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=8, permessage-deflate")
		p.send(p.closing(1000, ""))
		p.drain()
	}},
	{Profile: 9, Name: "an answer out of range", Against: Client, Want: refused("Sec-WebSocket-Extensions"), play: func(p *peer) { // T-B04
		p.open("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=1000")
		p.drain()
	}},

	// Without an agreement.
	{Profile: 9, Name: "a bomb without agreement", Against: Both, Want: notAgreed, play: func(p *peer) {
		p.open()
		p.listen()
		p.flood(p.compressed(wire.Binary, bomb(), true))
	}},
	sending(9, "BFINAL without agreement", notAgreed, func(p *peer) string { return p.compressed(wire.Binary, "\x03\x00", true) }),

	// With one.
	deflating("a bomb", tooLarge, func(p *peer) { p.send(p.compressed(wire.Binary, bomb(), true)) }),
	deflating("a bomb that does not end", tooLarge, func(p *peer) {
		p.send(p.compressed(wire.Binary, bomb()[:100], false))
		p.listen()
		p.flood(p.part(wire.Continuation, bomb()[100:], false))
	}),
	deflating("a bomb of text", tooLarge, func(p *peer) { p.send(p.compressed(wire.Text, bomb(), true)) }),
	deflating("a bomb in a bomb", closed(wire.NormalClosure), func(p *peer) {
		p.send(p.compressed(wire.Binary, stored(bomb()), true), p.closing(1000, "")) // it is decompressed once
	}),
	deflating("empty stored blocks without end", tooLarge, func(p *peer) { p.blocks("\x00\x00\x00\xff\xff") }),
	deflating("empty final blocks without end", tooLarge, func(p *peer) { p.blocks("\x03\x00") }), // T-B06
	deflating("empty dynamic blocks without end", tooLarge, func(p *peer) { p.blocks(emptyDynamicBlocks()) }),
	deflating("BFINAL, and then nonsense", corrupt, func(p *peer) { p.send(p.compressed(wire.Binary, "\x03\x00\xff", true)) }),
	deflating("nothing but nonsense", corrupt, func(p *peer) { p.send(p.compressed(wire.Binary, "\xff\xff\xff\xff\xff", true)) }),
	deflating("a stream that ends in the middle", corrupt, func(p *peer) { p.send(p.compressed(wire.Binary, bomb()[:50], true)) }),
	deflating("a reference to the text of others", corrupt, func(p *peer) { p.send(p.compressed(wire.Binary, "\xf2\x00\x11\x00\x00", true)) }), // T-B11
	deflating("RSV1 on a fragment that is not the first", wrongBit, func(p *peer) {
		p.send(p.compressed(wire.Text, "\x00", false), p.compressed(wire.Continuation, "\x00", true))
	}),
	deflating("RSV1 on a Ping", wrongBit, func(p *peer) { p.send(p.compressed(wire.Ping, "\x00", true)) }),
	deflating("half of a message, then silence", late, func(p *peer) { p.send(p.compressed(wire.Binary, bomb()[:100], false)) }),
}

var (
	notAgreed = failed(wire.ProtocolError, "reserved bit")
	wrongBit  = failed(wire.ProtocolError, "RSV1")
	tooLarge  = failed(wire.MessageTooBig, "Limits.Message")
	corrupt   = failed(wire.InvalidFramePayloadData, "compressed message")
)

// deflating returns an attack in either role, after an agreement on
// compression.
func deflating(name string, want Outcome, attack func(p *peer)) Attack {
	return Attack{Profile: 9, Name: name, Against: Both, Want: want, play: func(p *peer) {
		p.open("Sec-WebSocket-Extensions: permessage-deflate")
		attack(p)
		p.drain()
	}}
}

// blocks sends a message of the same blocks without end.
func (p *peer) blocks(block string) {
	p.send(p.compressed(wire.Binary, block, false))
	p.listen()
	p.flood(p.part(wire.Continuation, strings.Repeat(block, 4000/len(block)), false))
}

// compressed returns a frame with RSV1.
func (p *peer) compressed(op wire.Opcode, payload string, final bool) string {
	h := p.header(op, int64(len(payload)), final)
	h.RSV = wire.RSV1
	return string(wire.AppendFrame(nil, h, []byte(payload)))
}

// bomb returns a message that decompresses to 16 MiB, a thousand times its
// length.
var bomb = sync.OnceValue(func() string {
	var out strings.Builder
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic("BUG: hostile: " + err.Error()) // the level is valid
	}
	zeros := make([]byte, 1<<20)
	for range 16 {
		w.Write(zeros) // to memory
	}
	w.Flush()
	return strings.TrimSuffix(out.String(), "\x00\x00\xff\xff")
})

// stored returns a stream of one stored block with payload, and the empty block
// that ends a message.
func stored(payload string) string {
	n := len(payload)
	return string([]byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)}) + payload + "\x00"
}

// emptyDynamicBlocks returns eight blocks that decompress to nothing, each with
// codes of its own (RFC 1951, Section 3.2.7): the dearest bytes for a
// decompressor. They fill whole bytes.
func emptyDynamicBlocks() string {
	var out []byte
	bits := 0
	put := func(value, n int) {
		for i := range n {
			if bits%8 == 0 {
				out = append(out, 0)
			}
			out[bits/8] |= byte(value >> i & 1 << (bits % 8))
			bits++
		}
	}
	for range 8 {
		put(2<<1, 3) // not the last; dynamic
		put(0, 5+5)  // 257 literal and length codes, one distance code
		put(18-4, 4) // 18 lengths of the code for lengths, in the order of the RFC
		for symbol := range 18 {
			switch symbol {
			case 2: // 18: zeros
				put(1, 3)
			case 3, 17: // 0 and 1
				put(2, 3)
			default:
				put(0, 3)
			}
		}
		// The codes of 18, 0 and 1 are 0, 10 and 11, sent from the left.
		put(0, 1)
		put(138-11, 7)
		put(0, 1)
		put(118-11, 7)
		put(3, 2) // the end of the block has one bit
		put(1, 2) // no distance
		put(0, 1) // the end of the block
	}
	return string(out)
}
