package conform

import (
	"bytes"
	"slices"
)

// What a case does.

// send sends frames, all of them in one write if nothing else is asked for.
func (s *session) send(frames ...frame) { s.sendIn(whole, frames...) }

// A pacing is how octets are written.
type pacing int

const (
	whole    pacing = 0  // together with what is written before and after
	byItself pacing = -1 // each frame in a write of its own
)

// sendIn sends frames as c says; c > 0 is how many octets are written at a time.
func (s *session) sendIn(c pacing, frames ...frame) {
	for _, f := range frames {
		key := s.key()
		s.logFrame(LogTxFrame, f, key)
		b := make([]byte, 0, 14+len(f.payload))
		b = f.appendHeader(b, len(f.payload), key)
		s.write(c, appendMasked(b, f.payload, key, 0))
	}
}

// sendPieces sends one frame with the payload in pieces: it returns functions that write one after another, the first with the header.
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

// maxUnread is the number of octets that may be queued for the peer when a Pong is added.
const maxUnread = 64 << 10

// pong answers a Ping. While the peer does not read, only its last Ping gets an answer, which RFC
// 6455, 5.5.3 allows: a peer that floods Pings must not fill the judge's memory.
func (s *session) pong(payload []byte) {
	if s.local != nil {
		return
	}
	if s.out.queued() < maxUnread {
		s.send(frame{opcode: opPong, fin: true, payload: bytes.Clone(payload)})
		return
	}
	waits := s.owed != nil
	s.owed = append(s.owed[:0], payload...)
	if s.owed == nil {
		s.owed = []byte{}
	}
	if !waits {
		s.out.whenEmpty(func() {
			s.post(func() {
				last := s.owed
				s.owed = nil
				s.pong(last)
			})
		})
	}
}
