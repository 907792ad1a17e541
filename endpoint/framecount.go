package endpoint

import (
	"sync/atomic"

	"github.com/fibersock/fibersock/wire"
)

// FrameCount counts the frames of one direction.
type FrameCount struct {
	Messages  uint64 // complete messages, counted with their last frame
	Bytes     uint64 // payload of data frames, as on the wire
	Fragments uint64 // data frames that hold a part of a message
	Pings     uint64
	Pongs     uint64

	// Compressed counts the compressed ones of Messages, EncodedBytes their
	// payload as on the wire, DecodedBytes the same before compression.
	Compressed, EncodedBytes, DecodedBytes uint64
}

// addFrame counts a frame by the first byte of its header and the length of its
// payload in bytes.
func (n *FrameCount) addFrame(first byte, payload int) {
	final := first&finBit != 0
	switch op := wire.Opcode(first & 0x0f); op {
	case wire.Text, wire.Binary, wire.Continuation:
		n.Bytes += uint64(payload)
		if final {
			n.Messages++
		}
		if !final || op == wire.Continuation {
			n.Fragments++
		}
	case wire.Ping:
		n.Pings++
	case wire.Pong:
		n.Pongs++
	}
}

// FrameCounter is a FrameCount for concurrent use.
type FrameCounter struct {
	_ [0]func() // not comparable: programs are smaller

	messages, bytes, fragments, pings, pongs atomic.Uint64
	compressed, encoded, decoded             atomic.Uint64
}

// Load returns the current count. Its fields are read one after the other.
func (c *FrameCounter) Load() FrameCount {
	return FrameCount{
		Messages:  c.messages.Load(),
		Bytes:     c.bytes.Load(),
		Fragments: c.fragments.Load(),
		Pings:     c.pings.Load(),
		Pongs:     c.pongs.Load(),

		Compressed:   c.compressed.Load(),
		EncodedBytes: c.encoded.Load(),
		DecodedBytes: c.decoded.Load(),
	}
}

// add adds n. An addition of 0 costs no atomic operation.
func (c *FrameCounter) add(n *FrameCount) {
	addNonZero(&c.messages, n.Messages)
	addNonZero(&c.bytes, n.Bytes)
	addNonZero(&c.fragments, n.Fragments)
	addNonZero(&c.pings, n.Pings)
	addNonZero(&c.pongs, n.Pongs)
}

// addCompressed counts compressed messages, or parts of one with messages 0.
func addCompressed(c *FrameCounter, messages int, decoded, encoded int64) {
	c.compressed.Add(uint64(messages))
	c.decoded.Add(uint64(decoded))
	c.encoded.Add(uint64(encoded))
}

func addNonZero(to *atomic.Uint64, n uint64) {
	if n > 0 {
		to.Add(n)
	}
}

// Counters count the frames of any number of endpoints, in both directions.
// They fill two cache lines, so that an array of Counters, one for each
// processor, causes no false sharing.
type Counters struct {
	Received, Sent FrameCounter
}

// SetCounters makes e count its frames in c. It is called before the endpoint
// is shared, and may be called before Init.
//
// A sent frame is counted before it is written. Received frames are counted
// when Receive has used all of its input or the connection has ended, or
// earlier; FlushCounters counts them at once.
func (e *Endpoint) SetCounters(c *Counters) { e.sender.counters = c }

// FlushCounters adds the messages that Receive has returned to the counters.
// The caller is the receiving goroutine.
func (e *Endpoint) FlushCounters() { e.receiver.flushCount(e.sender.counters) }

// maxCounted is how many messages Receive returns before it counts them.
const maxCounted = 1 << 15

// countEvent counts ev, with c nil if nothing is counted. compression.receive
// counts the bytes of compressed messages.
func (r *receiver) countEvent(ev *Event, c *Counters) {
	if c == nil {
		return
	}
	var n FrameCount
	switch ev.Kind {
	case KindMessage, KindPartial:
		if ev.Kind == KindMessage || ev.Final {
			n.Messages = 1
		}
		if !r.message.compressed {
			n.Bytes = uint64(len(ev.Payload))
		}
	case KindPing:
		n.Pings = 1
	case KindPong:
		n.Pongs = 1
	}
	c.Received.add(&n)
}

// countFragment counts a data frame that holds a part of a message.
func (e *Endpoint) countFragment() {
	if c := e.sender.counters; c != nil {
		c.Received.fragments.Add(1)
	}
}

// countWhole notes a message of wholeMessage, with size bytes of payload. It
// reports whether flushCount must be called before the next.
func (r *receiver) countWhole(size int) (full bool) {
	r.counted++
	r.countedBytes += uint32(size)
	return r.counted == maxCounted
}

// flushCount adds the pending counts to c.
func (r *receiver) flushCount(c *Counters) {
	if r.counted == 0 {
		return
	}
	if c != nil {
		c.Received.messages.Add(uint64(r.counted))
		addNonZero(&c.Received.bytes, uint64(r.countedBytes))
	}
	r.counted, r.countedBytes = 0, 0
}
