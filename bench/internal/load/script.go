package load

import (
	"bytes"
	"crypto/rand"

	"github.com/fibersock/fibersock/wire"
)

// stamps are the values of the stamp in consecutive messages, without 'B',
// which makes a server sleep.
const stamps = "0123456789acdefg"

const (
	maxRingBytes = 256 << 10 // of prebuilt frames for one masking-key, unless fewer variants than minVariants fit
	maxKeysBytes = 512 << 10 // of prebuilt frames for all masking-keys, unless there is only one key
	maxKeys      = 16
	minVariants  = 3 // fewer would not distinguish a message from the one after the next
)

// script is the messages that a connection sends, over and over: variants of
// one payload that differ in the stamp, or different payloads of one length. It
// does not change once built and is shared by the sessions.
type script struct {
	opcode   wire.Opcode
	payload  []byte   // a payload without its stamp
	payloads [][]byte // of the variants, if they differ in more than the stamp
	stampAt  int      // place of the stamp in payload; -1: none, and then there is one variant only, or payloads
	variants int
	deflate  bool
	takeover bool    // replies are compressed and may refer to earlier ones
	reach    int     // largest distance in a compressed message
	rings    []*ring // the same messages under different masking-keys
	header   []byte  // of a reply that has one frame and is not compressed
}

// ring is the variants as masked frames, one after the other, and then from the
// first again, so that from each variant on so many can be sent with one write
// as are in flight.
type ring struct {
	frames []byte
	starts []int // of the messages in frames, and the end of the last
}

// stampPlace is where the payload of a message of this opcode may be changed
// without making a text that is not UTF-8; -1: nowhere.
func stampPlace(opcode wire.Opcode, payload []byte) int {
	if opcode == wire.Text {
		return bytes.IndexFunc(payload, func(r rune) bool { return r < 0x80 })
	}
	return min(len(payload), 1) - 1
}

// newScript returns the script for c's connections, with the stamp at a place
// of the payload.
func newScript(c Config, stampAt int) *script {
	s := &script{
		opcode: c.Opcode, payload: c.Payload, payloads: c.Payloads, stampAt: stampAt, variants: 1,
		deflate: c.Deflate, takeover: c.Takeover, reach: c.reach,
	}
	size := len(c.Payload) + 14*c.Fragments
	switch {
	case len(s.payloads) > 0:
		s.stampAt, s.variants = -1, len(s.payloads)
	case s.stampAt >= 0:
		s.variants = min(max(maxRingBytes/size, minVariants), len(stamps))
	}
	count := s.variants - 1 + min(c.InFlight, max(maxRingBytes/size, 1))
	keys := min(max(maxKeysBytes/(size*count), 1), maxKeys, c.Conns)
	for range keys {
		s.rings = append(s.rings, s.newRing(count, c.Fragments))
	}
	s.header = wire.AppendHeader(nil, wire.Header{Fin: true, Opcode: s.opcode, Length: int64(len(c.Payload))})
	return s
}

func (s *script) newRing(count, fragments int) *ring {
	var key [4]byte
	rand.Read(key[:])
	r := &ring{starts: []int{0}}
	for i := range count {
		r.frames = s.appendMessage(r.frames, i%s.variants, fragments, key)
		r.starts = append(r.starts, len(r.frames))
	}
	return r
}

// appendMessage appends a variant as fragments masked frames (RFC 6455, Section
// 5.4).
func (s *script) appendMessage(b []byte, variant, fragments int, key [4]byte) []byte {
	payload := s.variant(variant)
	h := wire.Header{Opcode: s.opcode}
	if s.deflate {
		payload, h.RSV = compress(payload, s.reach), wire.RSV1
	}
	for i := range fragments {
		from, to := len(payload)*i/fragments, len(payload)*(i+1)/fragments
		h.Fin = i == fragments-1
		b = appendMasked(b, h, payload[from:to], key)
		h = wire.Header{Opcode: wire.Continuation}
	}
	return b
}

// variant returns the payload of a variant, which must not be changed.
func (s *script) variant(i int) []byte {
	if len(s.payloads) > 0 {
		return s.payloads[i]
	}
	payload := bytes.Clone(s.payload)
	if s.stampAt >= 0 {
		payload[s.stampAt] = stamps[i]
	}
	return payload
}

// differs compares p with a variant at offset at and returns the position of
// the first wrong byte in the payload, -1 without one. at+len(p) is at most the
// payload's length.
func (s *script) differs(p []byte, at, variant int) int {
	if len(s.payloads) > 0 {
		return firstDifference(p, s.payloads[variant][at:at+len(p)], at)
	}
	want := s.payload[at : at+len(p)]
	stamp := s.stampAt - at
	if stamp < 0 || stamp >= len(p) {
		return firstDifference(p, want, at)
	}
	if place := firstDifference(p[:stamp], want[:stamp], at); place >= 0 {
		return place
	}
	if p[stamp] != stamps[variant] {
		return s.stampAt
	}
	return firstDifference(p[stamp+1:], want[stamp+1:], at+stamp+1)
}

func firstDifference(p, want []byte, at int) int {
	if bytes.Equal(p, want) {
		return -1
	}
	i := 0
	for p[i] == want[i] {
		i++
	}
	return at + i
}

// byteAt is the byte of a variant at a place.
func (s *script) byteAt(place, variant int) byte {
	switch {
	case len(s.payloads) > 0:
		return s.payloads[variant][place]
	case place == s.stampAt:
		return stamps[variant]
	}
	return s.payload[place]
}
