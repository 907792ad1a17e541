package wire

import (
	"encoding/binary"
	"math"
)

const (
	// MaxHeaderSize is the size in bytes of the longest frame header: two
	// bytes, a 64-bit length and a masking key.
	MaxHeaderSize = 14

	// MaxControlPayload is the size in bytes of the largest payload that a
	// control frame may have (Section 5.5).
	MaxControlPayload = 125
)

// RSV holds the three reserved bits of a frame's first byte, where they stand
// in it. They are zero unless an extension was agreed that uses them
// (Section 5.2).
type RSV byte

// The reserved bits.
const (
	RSV1 RSV = 0x40
	RSV2 RSV = 0x20
	RSV3 RSV = 0x10
)

const (
	finBit  = 0x80
	rsvBits = byte(RSV1 | RSV2 | RSV3)
	maskBit = 0x80

	length16 = 126 // the 7-bit length that announces 16 bits
	length64 = 127 // the 7-bit length that announces 64 bits
)

// Header is everything of a frame but its payload.
type Header struct {
	Fin    bool       // the last frame of its message
	RSV    RSV        // reserved bits, for extensions
	Opcode Opcode     //
	Masked bool       // the payload is masked with Key
	Key    MaskingKey // meaningful only if Masked
	Length int64      // payload length in bytes, not counting the key
}

// Check returns the first rule that h breaks whoever sends it: a reserved
// opcode, a control frame that is fragmented or too long, a negative length.
// Reserved bits are left to whoever knows the agreed extensions.
func (h Header) Check() error {
	switch {
	case !h.Opcode.Defined():
		return ErrReservedOpcode
	case h.Opcode.IsControl() && !h.Fin:
		return ErrFragmentedControl
	case h.Opcode.IsControl() && h.Length > MaxControlPayload:
		return ErrControlTooLong
	case h.Length < 0:
		return ErrLengthTopBit
	}
	return nil
}

// ParseHeader reads the frame header that b begins with and returns its size
// n, so that the payload begins at b[n]. n is 0 if b holds only part of the
// header; then the fields whose bytes have arrived are set, the others are
// zero, and the caller can check what it knows.
//
// The error is the first rule of Sections 5.2 and 5.5 that the header breaks.
// It is found as soon as the byte that breaks it is there, and then n is 0 too
// and the fields are set up to that byte.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 1 {
		return h, 0, nil
	}
	h.Fin = b[0]&finBit != 0
	h.RSV = RSV(b[0] & rsvBits)
	h.Opcode = Opcode(b[0] & 0x0f)
	if err := h.Check(); err != nil || len(b) < 2 {
		return h, 0, err
	}

	h.Masked = b[1]&maskBit != 0
	length := b[1] &^ maskBit
	if h.Opcode.IsControl() && length > MaxControlPayload {
		return h, 0, ErrControlTooLong
	}
	n = 2
	switch length {
	case length16:
		if len(b) < n+2 {
			return h, 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[n:]))
		n += 2
		if h.Length < length16 {
			return h, 0, ErrNonMinimalLength
		}
	case length64:
		if err := checkLength64(b[n:]); err != nil || len(b) < n+8 {
			return h, 0, err
		}
		h.Length = int64(binary.BigEndian.Uint64(b[n:]))
		n += 8
	default:
		h.Length = int64(length)
	}

	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		h.Key = MaskingKey(binary.LittleEndian.Uint32(b[n:]))
		n += 4
	}
	return h, n, nil
}

// checkLength64 checks as much of a 64-bit length as b holds. The top bit is in
// the first byte; the length could have had 16 bits if the first six are zero.
func checkLength64(b []byte) error {
	for i, c := range b[:min(len(b), 6)] {
		if i == 0 && c&0x80 != 0 {
			return ErrLengthTopBit
		}
		if c != 0 {
			return nil
		}
		if i == 5 {
			return ErrNonMinimalLength
		}
	}
	return nil
}

// AppendHeader appends h in its wire form, with the length in its shortest
// form, and returns the extended slice. It writes what it is told: whether
// that is a legal frame is what [Header.Check] says.
func AppendHeader(dst []byte, h Header) []byte {
	first := byte(h.RSV)&rsvBits | byte(h.Opcode)&0x0f
	if h.Fin {
		first |= finBit
	}
	var mask byte
	if h.Masked {
		mask = maskBit
	}
	switch {
	case h.Length >= 0 && h.Length < length16:
		dst = append(dst, first, mask|byte(h.Length))
	case h.Length >= 0 && h.Length <= math.MaxUint16:
		dst = append(dst, first, mask|length16, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, first, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Key))
	}
	return dst
}
