package endpoint

import (
	"encoding/binary"

	"github.com/fibersock/fibersock/wire"
)

// Cork is the buffer in which a server collects frames: see Endpoint.Cork. It
// can be lent to one endpoint after the other.
type Cork struct {
	collector collector  // the Cork itself
	size      int        // the capacity of frames
	frames    []byte     // nil before the first frame: a handler that blocks needs no memory here
	sent      FrameCount // of the frames, and of the one that is being written
}

// collector is a *Cork. The linker leaves that out of programs without NewCork.
// The caller of its methods holds sender.mu.
type collector interface {
	add(first byte, p []byte) bool
	collect(s *sender, h wire.Header, p []byte) error
	uncork(s *sender)
}

// NewCork returns an empty Cork of size bytes, which are allocated with the
// first frame.
func NewCork(size int) *Cork {
	k := &Cork{size: size}
	k.collector = k
	return k
}

// largePayload is the size in bytes from which a payload is not collected. It
// is written from the caller's slice, after the collected frames.
const largePayload = 8 << 10

// has reports whether there is room for a frame with a payload of n bytes, and
// for a header after it. It allocates the bytes of k.
func (k *Cork) has(n int) bool {
	if k.frames == nil {
		k.frames = make([]byte, 0, k.size)
	}
	return n < largePayload && len(k.frames)+n+2*serverHead <= cap(k.frames)
}

// add collects a frame with the first byte first. It reports false if there is
// no room.
func (k *Cork) add(first byte, p []byte) bool {
	if !k.has(len(p)) {
		return false
	}
	k.sent.addFrame(first, len(p))
	at := len(k.frames)
	b := k.frames[:at+serverHead+len(p)]
	if len(p) < 126 {
		binary.LittleEndian.PutUint16(b[at:], uint16(first)|uint16(len(p))<<8)
		at += 2
	} else { // a length of 16 bits: see largePayload
		binary.BigEndian.PutUint32(b[at:], uint32(first)<<24|126<<16|uint32(len(p)))
		at += 4
	}
	k.frames = b[:at+copy(b[at:], p)]
	return true
}

// Cork collects the frames of all senders in k until Uncork is called. When k
// is full, it is written and collecting continues. k belongs to the endpoint
// until Uncork returns.
//
// Cork has an effect only for a server whose writer is a VectorWriter. It must
// not be used with Backpressure or a writer that may block.
func (e *Endpoint) Cork(k *Cork) {
	if e.sender.vectored {
		e.sender.cork.Store(&k.collector)
	}
}

// Uncork writes the collected frames and ends collecting. It may be called from
// any goroutine, also without Cork.
func (e *Endpoint) Uncork() {
	s := &e.sender
	if s.cork.Load() == nil { // a writer that blocks may hold the lock
		return
	}
	s.mu.Lock()
	s.uncork()
	s.unlock()
}

// uncork writes the collected frames and ends collecting. The caller holds mu.
func (s *sender) uncork() {
	if k := s.cork.Load(); k != nil {
		(*k).uncork(s)
	}
}

// uncork is sender.uncork of the endpoint that k is lent to.
func (k *Cork) uncork(s *sender) {
	if len(k.frames) > 0 {
		_ = k.write(s, nil) // the next call returns the error
	}
	s.cork.Store(nil) // at last: another endpoint may use k then
}

// collect collects a frame, or writes it after the collected ones if there is
// no room.
func (k *Cork) collect(s *sender, h wire.Header, p []byte) error {
	if k.add(firstByte(h), p) {
		return nil
	}
	k.sent.addFrame(firstByte(h), len(p))
	k.frames = wire.AppendHeader(k.frames, h)
	return k.write(s, p)
}

// collectPrepared is collect for m.
func (k *Cork) collectPrepared(s *sender, m *Prepared) error {
	k.sent.addFrame(m.frame[0], m.payload)
	if k.has(len(m.frame)) {
		k.frames = append(k.frames, m.frame...)
		return nil
	}
	return k.write(s, m.frame)
}

// write writes the collected frames and p after them.
func (k *Cork) write(s *sender, p []byte) error {
	if s.counters != nil {
		s.counters.Sent.add(&k.sent)
	}
	k.sent = FrameCount{}
	frames := k.frames
	k.frames = frames[:0]
	return s.noteWrite(s.w.(VectorWriter).Writev(frames, p))
}

// finBit is FIN in the first byte of a frame.
const finBit = 0x80

// firstByte returns the first byte of a frame with the header h.
func firstByte(h wire.Header) byte {
	first := byte(h.RSV) | byte(h.Opcode)
	if h.Fin {
		first |= finBit
	}
	return first
}
