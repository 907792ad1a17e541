package chaos

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/fibersock/fibersock/server"
)

// message is the head of every message, in both directions. The peer's head
// selects the action of the handler.
type message struct {
	action action
	source uint32 // stream; its messages are numbered from 0
	seq    uint32
	arg    uint32 // parameter of the action
}

// A message is text: its head in hexadecimal digits, then letters that depend
// on the head. Text and binary messages are alike.
const (
	rawHead  = 1 + 4 + 4 + 4 + 4 + 4 // action, source, seq, arg, size, checksum
	headSize = 2 * rawHead           // bytes
)

// letters are the text after a head, which begins at a place that depends on
// the head and continues at the beginning.
var letters = func() []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1<<16+1) // no power of two: blocks that are swapped differ
	for i := range b {
		b[i] = 'a' + byte(rnd.IntN(26))
	}
	return b
}()

// append appends the message with size bytes in all, at least headSize.
func (m message) append(dst []byte, size int) []byte {
	size = max(size, headSize)
	var raw [rawHead]byte
	raw[0] = byte(m.action)
	binary.BigEndian.PutUint32(raw[1:], m.source)
	binary.BigEndian.PutUint32(raw[5:], m.seq)
	binary.BigEndian.PutUint32(raw[9:], m.arg)
	binary.BigEndian.PutUint32(raw[13:], uint32(size))
	start := len(dst) + headSize
	dst = append(dst, make([]byte, headSize)...)
	at := int((m.source*7 + m.seq*31) % uint32(len(letters)))
	for n := size - headSize; n > 0; {
		part := letters[at:min(len(letters), at+n)]
		dst = append(dst, part...)
		n -= len(part)
		at = 0
	}
	sum := crc32.Update(crc32.ChecksumIEEE(raw[:17]), crc32.IEEETable, dst[start:])
	binary.BigEndian.PutUint32(raw[17:], sum)
	hex.Encode(dst[start-headSize:start], raw[:])
	return dst
}

// parse reads a message, and checks its length and its checksum.
func parse(p []byte) (m message, err error) {
	if len(p) < headSize {
		return m, fmt.Errorf("message of %d bytes is shorter than its head", len(p))
	}
	var raw [rawHead]byte
	if _, err := hex.Decode(raw[:], p[:headSize]); err != nil {
		return m, fmt.Errorf("message of %d bytes has a damaged head %.*q", len(p), headSize, p)
	}
	m = message{action(raw[0]), binary.BigEndian.Uint32(raw[1:]), binary.BigEndian.Uint32(raw[5:]), binary.BigEndian.Uint32(raw[9:])}
	if size := binary.BigEndian.Uint32(raw[13:]); int(size) != len(p) {
		return m, fmt.Errorf("message %d of stream %s has %d bytes, %d were sent", m.seq, streamName(m.source), len(p), size)
	}
	if sum := crc32.Update(crc32.ChecksumIEEE(raw[:17]), crc32.IEEETable, p[headSize:]); sum != binary.BigEndian.Uint32(raw[17:]) {
		return m, fmt.Errorf("message %d of stream %s, %d bytes, has a wrong checksum", m.seq, streamName(m.source), len(p))
	}
	return m, nil
}

// Flags of the sources of messages to a peer. Without a flag the source is the
// connection of the handler that sends.
const (
	fromGoroutine uint32 = 1 << 30 // sent by a goroutine that the handler has started
	broadcast     uint32 = 1 << 31 // sent by Broadcast
)

// streamName names a source.
func streamName(source uint32) string {
	kind := ""
	if source&fromGoroutine != 0 {
		kind = " (goroutine)"
	}
	if source&broadcast != 0 {
		kind += " (broadcast)"
	}
	return fmt.Sprintf("%d%s", source&^(fromGoroutine|broadcast), kind)
}

// streams checks the order of messages that arrive at one end of a connection.
type streams struct {
	next  map[uint32]uint32
	drops server.SlowPolicy
}

// mayMiss reports whether messages of a source may be missing: the server has
// dropped some that Send has accepted, or broadcasts, of which Send reports
// nothing, or broadcasts began before the connection was open.
func (s *streams) mayMiss(source uint32, known bool) bool {
	switch s.drops {
	case server.SlowDropOldest:
		return true
	case server.SlowDropNewest:
		return source&broadcast != 0
	}
	return source&broadcast != 0 && !known
}

// check checks the next message.
func (s *streams) check(m message) error {
	if s.next == nil {
		s.next = make(map[uint32]uint32)
	}
	want, known := s.next[m.source]
	s.next[m.source] = m.seq + 1
	switch {
	case m.seq == want:
	case m.seq > want && s.mayMiss(m.source, known):
	case m.seq < want:
		return fmt.Errorf("message %d of stream %s arrived after message %d", m.seq, streamName(m.source), want-1)
	default:
		return fmt.Errorf("message %d of stream %s arrived, message %d is missing", m.seq, streamName(m.source), want)
	}
	return nil
}
