package wire

import (
	"encoding/binary"
	"math"
)

const (
	// MaxHeaderSize is the size in bytes of the longest frame header: two
	// bytes, a 64-bit length and a masking key.
	MaxHeaderSize = 14

	// MaxControlPayload is the limit for the payload of a control frame, in
	// bytes (Section 5.5).
	MaxControlPayload = 125
)

// RSV holds the three reserved bits, at their positions in a frame's first
// byte. They are zero unless a negotiated extension defines them (Section 5.2).
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

	length16 = 126 // 7-bit length: 16 more bits follow
	length64 = 127 // 7-bit length: 64 more bits follow
)

// Header is the header of a frame.
type Header struct {
	Fin    bool       // last frame of its message
	RSV    RSV        // reserved bits, for extensions
	Opcode Opcode     // meaning of the payload
	Masked bool       // payload is masked with Key
	Key    MaskingKey // used only if Masked
	Length int64      // payload length in bytes, without the key
}

// Check returns the first rule that h breaks in either role: a reserved opcode,
// a fragmented control frame, a control frame over 125 bytes, a negative
// length. It does not check RSV, which depends on the negotiated extensions.
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

// ParseHeader parses the frame header at the start of b and returns its size n;
// the payload starts at b[n]. If b holds only part of the header, n is 0 and h
// has the fields whose bytes are in b; the other fields are zero.
//
// The error is the first rule of Sections 5.2 and 5.5 that the header breaks.
// It is returned as soon as b contains the byte that breaks the rule, with n ==
// 0 and the fields up to that byte.
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

// checkLength64 checks the part of a 64-bit length that is in b. The top bit is
// in the first byte. Six zero bytes at the start mean that 16 bits suffice.
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

// AppendHeader appends the encoding of h, with the shortest form of the length,
// and returns the extended slice. It does not validate h; see [Header.Check].
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
