package endpoint

import (
	"encoding/binary"

	"github.com/fibersock/fibersock/wire"
)

// Cork is where a server's frames are collected, to be written together: see
// Endpoint.Cork. Its user lends it to one endpoint after the other, so that a
// connection that is sent nothing has no room for it.
type Cork struct {
	frames []byte     // what is collected
	sent   FrameCount // the same, and the frame that is being written
}

// NewCork returns an empty cork that collects at most size bytes.
func NewCork(size int) *Cork { return &Cork{frames: make([]byte, 0, size)} }

// Take returns what is collected, in bytes and in numbers, and empties the cork.
// The bytes are valid until it collects again. It belongs to
// VectorWriter.WriteCorked, which is called with a cork that nobody else uses.
func (k *Cork) Take() (frames []byte, sent FrameCount) {
	frames, sent = k.frames, k.sent
	k.frames, k.sent = frames[:0], FrameCount{}
	return frames, sent
}

// largePayload is from which size on, in bytes, a payload is not collected: it
// goes to the writer from where it is, behind what is collected.
const largePayload = 8 << 10

// has reports whether there is room for a frame with a payload of n bytes, and
// for a header after that.
func (k *Cork) has(n int) bool {
	return n < largePayload && len(k.frames)+n+2*serverHead <= cap(k.frames)
}

// add collects a frame with the first byte first. There is room for it.
func (k *Cork) add(first byte, p []byte) {
	k.sent.Frame(first, len(p))
	at := len(k.frames)
	b := k.frames[:at+serverHead+len(p)]
	if len(p) < 126 {
		binary.LittleEndian.PutUint16(b[at:], uint16(first)|uint16(len(p))<<8)
		at += 2
	} else { // no more than 16 bits: see has
		binary.BigEndian.PutUint32(b[at:], uint32(first)<<24|126<<16|uint32(len(p)))
		at += 4
	}
	k.frames = b[:at+copy(b[at:], p)]
}

// Cork has the frames that are sent from now on, by whoever, collected in k until
// Uncork is called, which whoever called Cork does before k is used for another
// endpoint. A writer that waits for the peer must not be corked; a client's frames,
// and those for what is no VectorWriter, are not collected.
func (e *Endpoint) Cork(k *Cork) {
	if e.sender.vectored {
		e.sender.cork.Store(k)
	}
}

// Uncork writes what has been collected, and has the frames that come written as
// they are sent. It may be called from any goroutine.
func (e *Endpoint) Uncork() {
	s := &e.sender
	if s.cork.Load() == nil { // and so the lock may be with a writer that waits
		return
	}
	s.mu.Lock()
	s.uncork()
	s.unlock()
}

// uncork writes what has been collected and ends that. The caller holds mu.
func (s *sender) uncork() {
	k := s.cork.Load()
	if k == nil {
		return
	}
	if len(k.frames) > 0 {
		_, err := s.w.(VectorWriter).WriteCorked(k, nil)
		_ = s.noteWrite(err) // reported by the next call
	}
	s.cork.Store(nil) // not before, as k is another endpoint's then
}

// collect collects a frame, or writes it with all that is collected. The caller
// holds mu.
func (s *sender) collect(k *Cork, h wire.Header, p []byte) error {
	if k.has(len(p)) {
		k.add(firstByte(h), p)
		return nil
	}
	k.sent.Frame(firstByte(h), len(p))
	k.frames = wire.AppendHeader(k.frames, h)
	return s.writeCorked(k, p)
}

// collectPrepared is collect for m.
func (s *sender) collectPrepared(k *Cork, m *Prepared) error {
	k.sent.Frame(m.frame[0], m.payload)
	if k.has(len(m.frame)) {
		k.frames = append(k.frames, m.frame...)
		return nil
	}
	return s.writeCorked(k, m.frame)
}

// writeCorked writes what is collected, and p after it. The caller holds mu.
func (s *sender) writeCorked(k *Cork, p []byte) error {
	more, err := s.w.(VectorWriter).WriteCorked(k, p)
	if !more {
		s.cork.Store(nil)
	}
	return s.noteWrite(err)
}

// finBit is FIN where it stands in a frame's first byte.
const finBit = 0x80

// firstByte returns the first byte of a frame with the header h.
func firstByte(h wire.Header) byte {
	first := byte(h.RSV) | byte(h.Opcode)
	if h.Fin {
		first |= finBit
	}
	return first
}
