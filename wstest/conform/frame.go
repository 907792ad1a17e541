package conform

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// The opcodes that have a meaning (RFC 6455, Section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// A frame is a frame that the judge sends, legal or not.
//
//	 0 1 2 3 4 5 6 7 8 9 a b c d e f
//	+-+-----+-------+-+-------------+-------------------------+-------------+---------
//	|F| RSV |opcode |M| length (7)  | length (16 or 64), if   | masking key | payload
//	|I|1 2 3|       |A|             | the 7 bits are 126, 127 | if MASK     |
//	|N|     |       |S|             |                         |             |
//	+-+-----+-------+-+-------------+-------------------------+-------------+---------
type frame struct {
	opcode  int
	fin     bool
	rsv     int // RSV1 is 4, RSV2 is 2, RSV3 is 1
	payload []byte
}

// appendHeader appends the header of a frame with length bytes of payload; key
// is nil for a frame without a mask.
func (f frame) appendHeader(b []byte, length int, key *[4]byte) []byte {
	first := byte(f.rsv<<4 | f.opcode)
	if f.fin {
		first |= 0x80
	}
	var mask byte
	if key != nil {
		mask = 0x80
	}
	switch {
	case length < 126:
		b = append(b, first, mask|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, mask|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, mask|127), uint64(length))
	}
	if key != nil {
		b = append(b, key[:]...)
	}
	return b
}

// appendMasked appends p as it is masked from offset on in its frame (RFC 6455,
// Section 5.3).
func appendMasked(b, p []byte, key *[4]byte, offset int) []byte {
	n := len(b)
	b = append(b, p...)
	if key == nil {
		return b
	}
	word := binary.LittleEndian.Uint32([]byte{key[offset&3], key[(offset+1)&3], key[(offset+2)&3], key[(offset+3)&3]})
	pair := uint64(word)<<32 | uint64(word)
	masked := b[n:]
	for ; len(masked) >= 8; masked = masked[8:] {
		binary.LittleEndian.PutUint64(masked, binary.LittleEndian.Uint64(masked)^pair)
	}
	for i := range masked {
		masked[i] ^= byte(pair >> (8 * i))
	}
	return b
}

func newKey() *[4]byte {
	key := new([4]byte)
	binary.LittleEndian.PutUint32(key[:], rand.Uint32())
	return key
}

// split returns a message as frames of size bytes of payload each. If the
// payload is a multiple of size, and longer than size, an empty frame follows,
// because a peer must handle it, too.
func split(opcode, rsv int, payload []byte, size int) []frame {
	if size == 0 || len(payload) <= size {
		return []frame{{opcode: opcode, fin: true, rsv: rsv, payload: payload}}
	}
	var frames []frame
	for len(payload) >= size {
		frames = append(frames, frame{opcode: opcode, rsv: rsv, payload: payload[:size]})
		payload = payload[size:]
		opcode, rsv = opContinuation, 0
	}
	return append(frames, frame{opcode: opContinuation, fin: true, payload: payload})
}

// A frameReader parses the peer's octets, in chunks of any size.
type frameReader struct {
	// check, if not nil, returns the rule that a header breaks. It is called
	// with the first two octets of a header; length is the length field of 7
	// bits.
	check func(info FrameInfo, length int) error

	head    []byte // the octets of the header so far
	info    FrameInfo
	length  int    // of the payload
	payload []byte // the octets of the payload so far
	inside  bool   // the header is complete
	broken  error  // the rule that the header breaks, though the frame can be read
}

// partial reports whether the octets so far end inside a frame.
func (r *frameReader) partial() bool { return r.inside || len(r.head) > 0 }

// read reads octets of p up to the end of a frame and returns the rest of p. If
// the frame is complete, whole is true, and info, payload and broken describe
// the frame until the next call. After an error no frame can be read.
func (r *frameReader) read(p []byte) (rest []byte, whole bool, err error) {
	if !r.inside {
		for len(p) > 0 && !r.inside {
			r.head = append(r.head, p[0])
			p = p[1:]
			if r.inside, err = r.parse(); err != nil {
				return p, false, err
			}
		}
		if !r.inside {
			return nil, false, nil
		}
		r.payload = r.payload[:0]
	}
	n := min(r.length-len(r.payload), len(p))
	r.payload = append(r.payload, p[:n]...)
	p = p[n:]
	if len(r.payload) < r.length {
		return p, false, nil
	}
	r.inside = false
	r.head = r.head[:0]
	if r.info.Masked {
		masked := r.payload
		for i := range masked {
			masked[i] ^= r.info.Key[i&3]
		}
	}
	return p, true, nil
}

// parse reports whether the header is complete.
func (r *frameReader) parse() (bool, error) {
	h := r.head
	if len(h) < 2 {
		r.broken = nil
		return false, nil
	}
	masked := h[1]&0x80 != 0
	if len(h) == 2 {
		r.info = FrameInfo{Opcode: int(h[0] & 15), Fin: h[0]&0x80 != 0, RSV: int(h[0] >> 4 & 7), Masked: masked}
		if r.check != nil {
			r.broken = r.check(r.info, int(h[1]&0x7f))
		}
	}
	need := 2
	length := uint64(h[1] & 0x7f)
	switch length {
	case 126:
		need += 2
	case 127:
		need += 8
	}
	extended := need
	if masked {
		need += 4
	}
	if len(h) < need {
		return false, nil
	}
	if masked {
		copy(r.info.Key[:], h[extended:])
	}
	least := uint64(0) // the least length that the length field's form is for
	switch extended {
	case 4:
		length, least = uint64(binary.BigEndian.Uint16(h[2:])), 126
	case 10:
		length, least = binary.BigEndian.Uint64(h[2:]), 1<<16
	}
	if length < least && r.broken == nil {
		r.broken = fmt.Errorf("a length of %d is written in %d bits (RFC 6455, 5.2)", length, (extended-2)*8)
	}
	if length > maxMessage {
		return true, fmt.Errorf("the header of a frame says %d bytes, and the judge has sent no message of more than %d", length, maxMessage/2)
	}
	r.length = int(length)
	return true, nil
}

// maxMessage is the limit of the messages that the judge reads. It sends no
// message above 16 MiB.
const maxMessage = 32 << 20
