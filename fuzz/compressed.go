package fuzz

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// Compressed reads data as the messages of an endpoint with permessage-deflate,
// after the parameters and the cuts. The other endpoint must receive them, in
// the same form from the whole and from pieces, with whole messages and with
// partial ones. If data has a compressed payload of its own, the messages and
// the status code of the failure must not depend on the pieces. No message may
// exceed the limit, and no piece 32 KiB.
func Compressed(data []byte) int {
	p := &program{data}
	kind, cuts := p.byte(), uint64(p.uint16())
	role := endpoint.Role(kind & 1)
	answer := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", 8+kind>>2&7, 8+kind>>5)
	if kind&2 != 0 {
		answer += "; server_no_context_takeover; client_no_context_takeover"
	}
	stream, want, foreign := compressedStream(p, role, answer)
	for i, way := range ways {
		got := receiveCompressed(endpoint.Config{Role: 1 - role, Partial: way.partial, Limits: compressedLimits, Compression: agreed(1-role, answer)},
			bytes.Clone(stream), pieces(way.largest, cuts))
		if i == 0 && foreign {
			want = got
		}
		if !slices.Equal(got, want) {
			violated("compressed messages arrive", "%s, from role %d, partial %v, pieces of up to %d:\n% x\n%.300q, want\n%.300q", answer, role, way.partial, way.largest, stream, got, want)
		}
	}
	return worth(len(want) > 0)
}

// compressedLimits allow the messages that compressedStream sends.
var compressedLimits = endpoint.Limits{Message: 64 << 10}

// agreed returns the compression of a role with negotiated parameters.
func agreed(role endpoint.Role, answer string) endpoint.Compression {
	deflate := &permessage.Deflate{WindowBits: 15, Threshold: -1}
	var c endpoint.Compression
	list, err := handshake.ParseExtensions(nil, answer)
	switch {
	case err != nil:
	case role == endpoint.Client:
		response := &handshake.Response{Header: handshake.Header{{Name: "Sec-WebSocket-Extensions", Value: answer}}}
		c, err = deflate.Negotiate(response, &handshake.ClientOffer{Extensions: deflate.Offers()})
	default:
		c, err = deflate.Accepted(list)
	}
	if err != nil {
		panic(err) // the answer is a text of this package
	}
	return c
}

// compressedStream returns what an endpoint of the role sends, and its
// messages. foreign reports that one of the payloads is not the endpoint's.
func compressedStream(p *program, role endpoint.Role, answer string) (stream []byte, messages []string, foreign bool) {
	var out bytes.Buffer
	e := endpoint.New(&out, endpoint.Config{Role: role, Compression: agreed(role, answer)})
	for p.more() && len(messages) < 100 {
		op, text := p.byte(), p.text()
		whole := bytes.Repeat([]byte(text), max(1, int(p.byte())))
		sent := true
		switch op % 6 {
		case 0:
			sent = e.Send(wire.Binary, whole) == nil
		case 1:
			sent = e.Send(wire.Text, whole) == nil
		case 2:
			sent = e.SendUncompressed(wire.Binary, whole) == nil
		case 3:
			m, _ := e.NextWriter(wire.Binary)
			for half := range slices.Chunk(whole, len(whole)/2+1) {
				_ = m.WriteFragment(half, false)
			}
			sent = m.WriteFragment(nil, true) == nil
		case 4:
			if m, err := endpoint.Prepare(wire.Binary, whole); role == endpoint.Server && err == nil {
				sent = e.SendPrepared(m) == nil
			} else {
				sent = false
			}
		case 5:
			foreign, sent = true, false
			h := wire.Header{Fin: op&0x80 == 0, RSV: wire.RSV1, Opcode: wire.Text + wire.Opcode(op>>6&1), Masked: role == endpoint.Client, Key: wire.MaskingKey(op)}
			out.Write(wire.AppendFrame(nil, h, []byte(text)))
		}
		if sent {
			messages = append(messages, string(whole))
		}
	}
	return out.Bytes(), messages, foreign
}

// receiveCompressed returns the messages of a stream, the last one a status
// code in brackets if the connection fails.
func receiveCompressed(cfg endpoint.Config, stream []byte, next func(left int) int) (messages []string) {
	var out transport
	e := endpoint.New(&out, cfg)
	var message []byte
	for rest := stream; len(rest) > 0; {
		n := next(len(rest))
		for b := rest[:n]; ; {
			ev, used := e.Receive(time.Time{}, b)
			b = b[used:]
			message = append(message, ev.Payload...)
			if len(message) > 64<<10 || ev.Kind == endpoint.KindPartial && len(ev.Payload) > 32<<10 {
				violated("limits hold while a message is decompressed", "a piece of %d bytes, %d in all", len(ev.Payload), len(message))
			}
			if ev.Kind == endpoint.KindMessage || ev.Kind == endpoint.KindPartial && ev.Final {
				messages, message = append(messages, string(message)), nil
			}
			if failed, ok := ev.Err.(*endpoint.FailError); ok {
				return append(messages, fmt.Sprintf("<%d>", failed.Code))
			}
			if ev.Kind == endpoint.KindNone {
				break
			}
		}
		rest = rest[n:]
	}
	return messages
}
