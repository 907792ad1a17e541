package endpoint

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wire"
)

// This file receives compressed messages (RFC 7692, Section 6.2). The payload
// of a frame is decompressed as it arrives, in steps of at most inflateStep
// bytes. Without Config.Partial the output is assembled; with it, each piece is
// returned when it fills a buffer or when the input is used up.
//
// Invariant: the last byte of the input is consumed when all output of it has
// been returned. A caller that stops with an empty input loses nothing.

// inflating is the state of a compressed message.
type inflating struct {
	decompressor Decompressor
	size         int64   // bytes decompressed so far
	piece        *buffer // of the last KindPartial; nil if there is none
	held         bool    // the Decompressor has the next byte of the payload already
}

// inflatings lends inflating structs.
var inflatings sync.Pool

func newInflating(d Decompressor) *inflating {
	i, _ := inflatings.Get().(*inflating)
	if i == nil {
		i = new(inflating)
	}
	i.decompressor = d
	return i
}

// inflateStep bounds, with Config.Partial, the bytes that are unmasked before
// it is known how many of them the output has room for.
const inflateStep = 4 << 10

var errInflatedLimit = &wire.Error{Code: wire.MessageTooBig, Reason: "decompressed message exceeds the size limit"} // Section 10.4

// CompressionError reports that the payload of a compressed message cannot be
// decompressed.
type CompressionError struct {
	Err error // of the Decompressor
}

var errCompressedData = &wire.Error{Code: wire.InvalidFramePayloadData, Reason: "invalid compressed data"} // RFC 7692, Section 6.2

// Error returns the cause.
func (e *CompressionError) Error() string {
	return "websocket: invalid compressed message: " + texts.WithoutPrefix(e.Err)
}

// Unwrap returns the cause and the *wire.Error with the status code for the
// peer.
func (e *CompressionError) Unwrap() []error { return []error{e.Err, errCompressedData} }

// compressed returns the limit for the compressed payload of a message. An
// encoder adds up to an eighth to data that it cannot compress.
func (l *Limits) compressed() int64 {
	if l.Message > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return l.Message + l.Message/8 + 64
}

// receive is Endpoint.payload for a compressed message. It consumes all of the
// frame's payload in b, or the part whose output fits an event.
func (c compression) receive(e *Endpoint, cfg *SharedConfig, now time.Time, b []byte) (ev Event, used int, err error) {
	r := &e.receiver
	m := &r.message
	if m.inflating == nil {
		m.inflating = newInflating(c.coderOf(&e.sender))
	}
	i := m.inflating.(*inflating)
	out, step, room := i.output(cfg, m)
	start := len(out.bytes)
	done, exceeded := false, false
	for !done {
		p := b[used:]
		p = p[:min(int64(len(p)), r.rest, step)]
		last := r.frame.Fin && int64(len(p)) == r.rest
		if len(p) == 0 && !last {
			break
		}
		limit := room - (len(out.bytes) - start)
		if left := max(m.limit-i.size, 0); left < int64(limit) {
			limit = int(left) + 1 // one byte more shows that the limit is exceeded
		}
		n, pending, err := i.append(r, out, p, last, limit)
		used += n
		if err != nil {
			return Event{}, used, err
		}
		done, exceeded = last && !pending, i.size > m.limit
		if exceeded || pending || r.rest == 0 || len(out.bytes)-start >= room {
			break
		}
	}
	if r.rest == 0 {
		r.phase = headerPhase
	}
	produced := out.bytes[start:]
	if cfg.limitsRates && len(produced) > used {
		if err := e.takeRate(byteRate, len(produced)-used, &cfg.limits, now); err != nil { // besides the used ones
			return Event{}, used, err
		}
	}
	// The order is that of the bytes, so that the error does not depend on how
	// they were split.
	switch {
	case m.opcode == wire.Text && m.text.Check(produced) >= 0:
		return Event{}, used, wire.ErrInvalidUTF8
	case exceeded:
		return Event{}, used, &LimitError{Limit: "decompressed message", Option: "Limits.Message", Max: m.limit, Seen: i.size, rule: errInflatedLimit}
	case m.opcode == wire.Text && done && !m.text.Complete():
		return Event{}, used, wire.ErrInvalidUTF8
	}
	ev = Event{Kind: KindMessage, Opcode: m.opcode, Payload: slices.Clip(produced)}
	switch {
	case cfg.partial && (m.delivered || !done):
		if len(produced) == 0 && !done {
			i.releasePiece()
			ev = Event{}
			break
		}
		ev.Kind, ev.Final = KindPartial, done
		m.delivered = true
	case !done:
		ev = Event{}
	case !cfg.partial:
		ev.Payload = slices.Clip(out.bytes) // the capacity may hold input of another connection
	}
	if counters := e.sender.counters; counters != nil {
		addNonZero(&counters.Received.bytes, uint64(used)) // countEvent counts the message
		if done {
			addCompressed(&counters.Received, 1, i.size, m.size)
		}
	}
	if done {
		m.opcode, m.size, m.fragments = wire.Continuation, 0, 0
	}
	return ev, used, nil
}

// output returns the buffer for decompressed bytes, the number of input bytes
// to decompress in a step, and that of output bytes after which an event is
// returned.
func (i *inflating) output(cfg *SharedConfig, m *message) (out *buffer, step int64, room int) {
	if cfg.partial {
		if i.piece == nil {
			i.piece = frames.get()
		}
		i.piece.bytes = i.piece.bytes[:0]
		return i.piece, inflateStep, frameBufferSize
	}
	if m.assembly == nil {
		m.assembly = assemblies.get()
	}
	return m.assembly, math.MaxInt32, math.MaxInt // the steps are those of the input
}

// append unmasks and decompresses p, the next bytes of the payload; last marks
// the end of the message. It appends at most limit bytes to out. n is how many
// bytes of p are consumed, and pending reports that there is more output. Bytes
// that are not consumed are left masked.
func (i *inflating) append(r *receiver, out *buffer, p []byte, last bool, limit int) (n int, pending bool, err error) {
	key := r.key
	if r.frame.Masked {
		r.key = wire.Mask(p, key)
	}
	src := p
	if i.held {
		src = p[1:]
	}
	before := len(out.bytes)
	out.bytes, n, err = i.decompressor.Append(out.bytes, src, last, limit)
	i.size += int64(len(out.bytes) - before)
	if err != nil {
		return len(p), false, &CompressionError{Err: err}
	}
	n += len(p) - len(src) // with the byte that was held
	pending = i.decompressor.Pending()
	i.held = pending && n > 0
	if i.held {
		n--
	}
	if n < len(p) && r.frame.Masked {
		wire.Mask(p, key)
		r.key = wire.Mask(p[:n], key)
	}
	r.rest -= int64(n)
	return n, pending, nil
}

// idle is called when the rest of a message has not arrived.
func (i *inflating) idle() {
	i.releasePiece()
	i.decompressor.Park()
}

// release is called at the end of a message or of the connection.
func (i *inflating) release() {
	i.releasePiece()
	*i = inflating{}
	inflatings.Put(i)
}

// releasePiece returns the buffer of the last piece, which is not used any
// more.
func (i *inflating) releasePiece() {
	if i.piece != nil {
		frames.put(i.piece)
		i.piece = nil
	}
}
