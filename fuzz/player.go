package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/metrics"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// player makes the engine receive, and records its events as the naive receiver
// does.
type player struct {
	transcript
	cause string // why the connection failed, or how it ended otherwise

	cfg     endpoint.Config
	engine  *endpoint.Endpoint
	client  bool
	written transport
	taken   int // bytes that the engine has had

	message []byte      // the payload so far of a message that is delivered in pieces
	opcode  wire.Opcode // of it; Continuation if there is none

	stream, given []byte // its input, before and after
	pieces        []int  // their sizes
	allocated     int64  // bytes
}

// transport keeps the bytes that an endpoint writes. Once broken it accepts the
// part of the next frame for which there is room, and then nothing.
type transport struct {
	bytes.Buffer
	broken bool
	room   int
}

var errBroken = errors.New("the transport is broken")

func (t *transport) Write(p []byte) (int, error) {
	if !t.broken {
		return t.Buffer.Write(p)
	}
	n, _ := t.Buffer.Write(p[:min(t.room, len(p)-1)])
	t.room = 0
	return n, errBroken
}

// newPlayer returns an endpoint that has received nothing.
func newPlayer(cfg endpoint.Config) *player {
	p := &player{cfg: cfg, client: cfg.Role == endpoint.Client}
	p.engine = endpoint.New(&p.written, cfg)
	return p
}

// The bytes that the engine may allocate beyond a multiple of its input:
// buffers that it borrows again after a collection, and the memory of the
// harness for each piece.
const (
	allocationAllowance = 1 << 20
	allocationPerPiece  = 8 << 10
)

// play makes an endpoint receive a stream, in pieces of the sizes that next
// returns for the rest, and then the end of the transport.
func play(cfg endpoint.Config, stream []byte, next func(left int) int) *player {
	p := newPlayer(cfg)
	p.stream, p.given = stream, bytes.Clone(stream)
	before := allocatedBytes()
	for rest := stream; len(rest) > 0; {
		n := next(len(rest))
		p.receive(rest[:n])
		p.pieces = append(p.pieces, n)
		rest = rest[n:]
	}
	p.lose()
	p.out = replies(p.written.Bytes(), p.client)
	p.allocated = allocatedBytes() - before
	return p
}

// allocatesTooMuch reports whether the engine allocates more than a multiple of its
// input. Other goroutines allocate too, and the runtime may count at once what was
// allocated before: a second and a third look decide.
func (p *player) allocatesTooMuch() bool {
	limit := allocationAllowance + 8*int64(len(p.given)) + int64(len(p.pieces))*allocationPerPiece
	for range 2 {
		if p.allocated <= limit {
			return false
		}
		i := -1
		again := play(p.cfg, bytes.Clone(p.given), func(int) int {
			i++
			return p.pieces[i]
		})
		p.allocated = min(p.allocated, again.allocated)
	}
	return p.allocated > limit
}

// allocatedBytes returns the bytes that this process has allocated. The runtime
// counts small objects with a delay.
func allocatedBytes() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// receive hands the engine a piece. The engine gets a copy, between guards, which
// is overwritten afterwards, because then the bytes are not the engine's any more.
func (p *player) receive(piece []byte) {
	const guard = "guarding"
	memory := append(append([]byte(guard), piece...), guard...)
	own := memory[len(guard) : len(guard)+len(piece)]
	for rest := own; ; {
		ended := p.engine.Err() != nil
		ev, n := p.engine.Receive(time.Time{}, rest)
		if n < 0 || n > len(rest) || ev.Kind == endpoint.KindNone && n != len(rest) {
			violated("Receive consumes a prefix, and all bytes without an event", "%d of % x, event %+v", n, rest, ev)
		}
		rest = rest[n:]
		if ev.Kind == endpoint.KindNone {
			break
		}
		if ended {
			violated("nothing is delivered after the end", "%+v after %v", ev, p.engine.Err())
		}
		p.note(ev, p.taken+len(piece)-len(rest))
	}
	p.taken += len(piece)
	if string(memory[:len(guard)]) != guard || string(memory[len(memory)-len(guard):]) != guard {
		violated("nothing around a piece is changed", "% x became % x", piece, memory)
	}
	for i := range memory {
		memory[i] = 0xaa
	}
}

// note records an event, which occurred at the byte before at.
func (p *player) note(ev endpoint.Event, at int) {
	tell := func(format string, args ...any) {
		p.events = append(p.events, event{fmt.Sprintf(format, args...), at})
	}
	switch ev.Kind {
	case endpoint.KindMessage:
		if p.opcode != wire.Continuation {
			violated("a message comes whole or in pieces", "%q inside of %q", ev.Payload, p.message)
		}
		tell("%s", messageEvent(ev.Opcode, ev.Payload))
	case endpoint.KindPartial:
		p.piece(ev)
		if ev.Final {
			tell("%s", messageEvent(ev.Opcode, p.message))
			p.message, p.opcode = nil, wire.Continuation
		}
	case endpoint.KindPing:
		tell("ping %q", ev.Payload)
	case endpoint.KindPong:
		tell("pong %q", ev.Payload)
	case endpoint.KindClose, endpoint.KindFailed:
		tell("%s", describe(ev.Err))
	default:
		violated("an event is of a kind that there is", "%+v", ev)
	}
}

func (p *player) piece(ev endpoint.Event) {
	if p.opcode != wire.Continuation && p.opcode != ev.Opcode {
		violated("the pieces of a message have its type", "%v, then %v", p.opcode, ev.Opcode)
	}
	if len(ev.Payload) == 0 && !ev.Final {
		violated("no piece but the last is empty", "after %q", p.message)
	}
	p.opcode = ev.Opcode
	p.message = append(p.message, ev.Payload...)
	if bad, complete := decodeUTF8(p.message); ev.Opcode == wire.Text && (bad >= 0 || ev.Final && !complete) {
		violated("delivered pieces of a text are a prefix of UTF-8", "%q, final is %v", p.message, ev.Final)
	}
}

// lose ends the transport and checks the state.
func (p *player) lose() {
	known := p.engine.Err()
	err := p.engine.TransportClosed(io.EOF, nil)
	if known != nil && err != known {
		violated("the end is recorded once", "%v, then %v", known, err)
	}
	p.end, p.cause = describe(err), err.Error()
	if code, want := p.engine.CloseCode(), reported(err); code != want {
		violated("the code reported is that of the peer's Close, or 1006", "%d for %v", int(code), err)
	}
	if p.engine.State() != endpoint.Closed {
		violated("after the transport the connection is closed", "state %v, %v", p.engine.State(), err)
	}
	size := p.written.Len()
	for name, err := range map[string]error{
		"Send": p.engine.Send(wire.Text, nil), "Ping": p.engine.Ping(nil), "Pong": p.engine.Pong(nil), "Close": p.engine.Close(1000, ""),
	} {
		if err == nil || p.written.Len() != size {
			violated("nothing is sent after the end", "%s: error %v, %d bytes", name, err, p.written.Len()-size)
		}
	}
}

// describe returns the end that err is in the words of the naive receiver.
func describe(err error) string {
	var closed *endpoint.CloseError
	var failed *endpoint.FailError
	var lost *endpoint.LostError
	switch {
	case errors.As(err, &closed):
		return fmt.Sprintf("closed with %d %q", int(closed.Code), closed.Reason)
	case errors.As(err, &failed):
		return fmt.Sprintf("failed with %d", int(failed.Code))
	case errors.As(err, &lost):
		return "lost: " + lost.Err.Error()
	}
	return fmt.Sprint(err)
}

// reported returns the code that a connection with this end reports (Section
// 7.1.5).
func reported(err error) wire.StatusCode {
	if closed := (*endpoint.CloseError)(nil); errors.As(err, &closed) {
		return closed.Code
	}
	return wire.AbnormalClosure
}

// replies returns the Pongs and the Close that out consists of.
func replies(out []byte, client bool) (list []string) {
	all, rest := frames(out, client)
	if len(rest) > 0 {
		violated("an endpoint writes whole frames", "% x after %d frames", rest, len(all))
	}
	for _, f := range all {
		switch f.opcode {
		case wire.Pong:
			list = append(list, fmt.Sprintf("pong %q", f.payload))
		case wire.Close:
			code, _ := readClose(f.payload)
			list = append(list, fmt.Sprintf("close %d", code))
		default:
			violated("an endpoint answers with Pong and Close only", "%v %q", f.opcode, f.payload)
		}
	}
	return list
}

// frame is a frame that an endpoint wrote.
type frame struct {
	opcode  wire.Opcode
	payload []byte
}

// frames returns the complete frames in out, which must be valid and masked if
// and only if a client sent them, and the incomplete rest.
func frames(out []byte, client bool) (list []frame, rest []byte) {
	closed := false
	for len(out) > 0 {
		h := readHeader(out)
		if h.broken || h.size > 0 && (h.fields.Masked != client || h.fields.RSV != 0) {
			violated("an endpoint sends legal frames, masked if it is a client", "% x after %d frames", out, len(list))
		}
		if h.size == 0 || h.fields.Length > int64(len(out)-h.size) {
			break
		}
		end := h.size + int(h.fields.Length)
		f := frame{h.fields.Opcode, bytes.Clone(out[h.size:end])}
		out = out[end:]
		if h.fields.Masked {
			maskByRFC(f.payload, h.fields.Key.Bytes())
		}
		if closed && f.opcode != wire.Pong {
			violated("an endpoint sends one Close, and nothing but Pongs after it", "%v %q", f.opcode, f.payload)
		}
		if f.opcode == wire.Close {
			closed = true
			if _, err := readClose(f.payload); err != nil {
				violated("a Close that is sent is legal", "% x: %v", f.payload, err)
			}
		}
		list = append(list, f)
	}
	return list, out
}
