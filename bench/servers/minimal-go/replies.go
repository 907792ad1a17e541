package main

import (
	"bytes"
	"encoding/binary"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

// The size of a read, except for a longer frame.
const maxBuffer = 1 << 16

// Of a frame's first two bytes (RFC 6455, Section 5.2).
const (
	finBit, rsvBits, opcodeBits = 0x80, 0x70, 0x0f
	maskBit, lengthBits         = 0x80, 0x7f

	opBinary, opClose, opPing, opPong = 2, 8, 9, 10

	protocolError, messageTooBig = 1002, 1009
)

// replies turns the frames in buf into their replies, in place:
//
//	0      out       written    next        end
//	|......| replies |..........| not done  | room ...|
//
// A reply has no masking-key, so it is shorter than its frame and written never
// exceeds next.
type replies struct {
	buf                     []byte
	out, written, next, end int
	max                     int                // bytes of the longest payload
	broadcast               func(frame []byte) // nil: to the sender
}

// header is a frame's, of size bytes with the masking-key.
type header struct {
	first, size byte
	masked      bool
	length      int
	key         uint32
}

// parse reads the header at the beginning of b; ok reports that it is complete.
func parse(b []byte) (h header, ok bool) {
	if len(b) < 2 {
		return h, false
	}
	h = header{first: b[0], size: 6, masked: b[1]&maskBit != 0, length: int(b[1] & lengthBits)}
	if !h.masked {
		return h, true // no need to know more
	}
	switch h.length {
	case 126:
		h.size = 8
	case 127:
		h.size = 14
	}
	if len(b) < int(h.size) {
		return h, false
	}
	switch h.length {
	case 126:
		h.length = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.length = int(min(binary.BigEndian.Uint64(b[2:]), 1<<31-1)) // longer than any limit
	}
	h.key = binary.LittleEndian.Uint32(b[h.size-4:])
	return h, true
}

// turn replies to every complete frame, and reports whether the connection
// continues.
func (r *replies) turn() (open bool) {
	for {
		h, ok := parse(r.buf[r.next:r.end])
		if !ok {
			return true
		}
		switch {
		case !h.masked || h.first&rsvBits != 0:
			r.close(protocolError)
			return false
		case h.length > r.max:
			r.close(messageTooBig)
			return false
		case r.end-r.next < int(h.size)+h.length:
			return true
		}
		if r.frame(h) == opClose {
			return false
		}
	}
}

// frame replies to the frame at next.
func (r *replies) frame(h header) (opcode byte) {
	opcode = h.first & opcodeBits
	payload := r.buf[r.next+int(h.size):][:h.length]
	r.next += int(h.size) + h.length
	if opcode == opPong {
		return opcode
	}
	if r.written == r.out { // the first: its payload can stay where it is
		r.out = r.next - len(payload) - int(h.size) + 4
		r.written = r.out
	}
	begin := r.written
	first := h.first
	if opcode == opPing {
		first += opPong - opPing
	}
	r.written += int(h.size) - 4
	putHeader(r.buf[begin:r.written], first, h.length)
	unmask(r.buf[r.written:], payload, h.key)
	echo := r.buf[r.written:][:len(payload)]
	r.written += len(payload)
	serve.BlockIfAsked(h.first == finBit|opBinary, echo)
	if r.broadcast != nil && opcode < opClose {
		r.broadcast(r.buf[begin:r.written])
		r.written = begin
	}
	return opcode
}

// putHeader writes the header of a frame that is not masked, to all of b: its
// length is in the form that the client chose.
func putHeader(b []byte, first byte, length int) {
	b[0] = first
	switch len(b) {
	case 2:
		b[1] = byte(length)
	case 4:
		b[1] = 126
		binary.BigEndian.PutUint16(b[2:], uint16(length))
	default:
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(length))
	}
}

// unmask writes src, unmasked, to dst, which may be the same or begin before
// it: each word is read before one is written that reaches into it.
func unmask(dst, src []byte, key uint32) {
	dst = dst[:len(src)]
	key64 := uint64(key)<<32 | uint64(key)
	for len(src) >= 32 {
		a := binary.LittleEndian.Uint64(src)
		b := binary.LittleEndian.Uint64(src[8:])
		c := binary.LittleEndian.Uint64(src[16:])
		d := binary.LittleEndian.Uint64(src[24:])
		binary.LittleEndian.PutUint64(dst, a^key64)
		binary.LittleEndian.PutUint64(dst[8:], b^key64)
		binary.LittleEndian.PutUint64(dst[16:], c^key64)
		binary.LittleEndian.PutUint64(dst[24:], d^key64)
		src, dst = src[32:], dst[32:]
	}
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^key64)
		src, dst = src[8:], dst[8:]
	}
	for i, b := range src {
		dst[i] = b ^ byte(key>>(8*i&31))
	}
}

// close adds a Close with a status code, after which nothing follows.
func (r *replies) close(code uint16) {
	frame := []byte{finBit | opClose, 2, byte(code >> 8), byte(code)}
	r.buf = append(bytes.Clone(r.buf[r.out:r.written]), frame...)
	r.out, r.written = 0, len(r.buf)
}

// take returns the output and resets it.
func (r *replies) take() []byte {
	out := r.buf[r.out:r.written]
	r.out, r.written = 0, 0
	return out
}

// room returns where to read to, after the replies have been written. The
// buffer grows to the longest frame, and to maxBuffer if reads fill it.
func (r *replies) room() []byte {
	need := r.end - r.next + 1
	if h, ok := parse(r.buf[r.next:r.end]); ok {
		need = int(h.size) + h.length
	}
	size := len(r.buf)
	if r.end == size && size < maxBuffer {
		size *= 2
	}
	switch size = max(size, need); {
	case size > len(r.buf):
		larger := make([]byte, size)
		r.end = copy(larger, r.buf[r.next:r.end])
		r.buf, r.next = larger, 0
	case r.next == r.end, len(r.buf)-r.next < need:
		r.end = copy(r.buf, r.buf[r.next:r.end])
		r.next = 0
	}
	return r.buf[r.end:]
}
