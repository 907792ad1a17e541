package conform

import (
	"bytes"
	"slices"
)

// send sends frames, all of them in one write.
func (s *session) send(frames ...frame) { s.sendIn(whole, frames...) }

// A pacing is how octets are written.
type pacing int

const (
	whole    pacing = 0  // in one write with the octets before and after
	byItself pacing = -1 // each frame in a write of its own
)

// sendIn sends frames with the pacing c. c > 0 is the number of octets in a
// write.
func (s *session) sendIn(c pacing, frames ...frame) {
	for _, f := range frames {
		key := s.key()
		s.logFrame(LogTxFrame, f, key)
		b := make([]byte, 0, 14+len(f.payload))
		b = f.appendHeader(b, len(f.payload), key)
		s.write(c, appendMasked(b, f.payload, key, 0))
	}
}

// sendPieces returns functions that write one frame in pieces of its payload,
// the first one with the header.
func (s *session) sendPieces(f frame, pieces ...[]byte) []func() {
	key := s.key()
	f.payload = bytes.Join(pieces, nil)
	b := f.appendHeader(nil, len(f.payload), key)
	var writes []func()
	offset := 0
	for i, p := range pieces {
		b = appendMasked(b, p, key, offset)
		octets := b
		writes = append(writes, func() {
			if i == 0 {
				s.logFrame(LogTxFrame, f, key)
			}
			s.write(byItself, octets)
		})
		offset += len(p)
		b = nil
	}
	return writes
}

func (s *session) key() *[4]byte {
	if s.role == Client {
		return newKey()
	}
	return nil
}

func (s *session) write(c pacing, octets []byte) {
	if c <= 0 {
		s.log.sent(s.at(), octets)
		how := joined
		if c == byItself {
			how = alone
		}
		s.out.write(octets, how)
		return
	}
	for chunk := range slices.Chunk(octets, int(c)) {
		s.log.sent(s.at(), chunk)
		s.out.write(chunk, spaced)
	}
}

// maxUnread is the number of octets that may be queued for the peer when a Pong
// is added.
const maxUnread = 64 << 10

// pong answers a Ping. While the peer does not read, only its last Ping gets a
// Pong, as RFC 6455, 5.5.3 allows. So a peer that floods Pings cannot fill the
// judge's memory.
func (s *session) pong(payload []byte) {
	if s.local != nil {
		return
	}
	if s.out.queued() < maxUnread {
		s.send(frame{opcode: opPong, fin: true, payload: bytes.Clone(payload)})
		return
	}
	waits := s.lastPing != nil
	s.lastPing = append(s.lastPing[:0], payload...)
	if s.lastPing == nil {
		s.lastPing = []byte{}
	}
	if !waits {
		s.out.whenEmpty(func() {
			s.post(func() {
				last := s.lastPing
				s.lastPing = nil
				s.pong(last)
			})
		})
	}
}
