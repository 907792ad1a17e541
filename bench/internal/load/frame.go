package load

import (
	"encoding/binary"
	"fmt"
)

// The first two bytes of a frame (RFC 6455, Section 5.2).
const (
	finBit     byte = 0x80
	rsv1Bit    byte = 0x40
	rsvBits    byte = 0x70
	opcodeBits byte = 0x0F
	maskBit    byte = 0x80
	lengthBits byte = 0x7F
)

// Opcodes that no message is begun with.
const (
	opContinuation byte = 0x0
	opClose        byte = 0x8
	opPing         byte = 0x9
	opPong         byte = 0xA
)

const (
	maxControlPayload  = 125 // also the longest payload with its length in the second byte
	payloadLength16    = 126
	payloadLength64    = 127
	maxPayloadLength16 = 1<<16 - 1
	maxHeader          = 2 + 8 // a server's frame has no masking-key
)

// appendHeader appends an unmasked header with a first byte.
func appendHeader(b []byte, first byte, length int) []byte {
	switch {
	case length <= maxControlPayload:
		return append(b, first, byte(length))
	case length <= maxPayloadLength16:
		return binary.BigEndian.AppendUint16(append(b, first, payloadLength16), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(b, first, payloadLength64), uint64(length))
	}
}

// appendMasked appends a masked frame with a first byte (RFC 6455, Section
// 5.3).
func appendMasked(b []byte, first byte, payload []byte, key [4]byte) []byte {
	head := len(b)
	b = appendHeader(b, first, len(payload))
	b[head+1] |= maskBit
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%len(key)])
	}
	return b
}

// normalClose is Close 1000, masked.
var normalClose = appendMasked(nil, finBit|opClose, []byte{1000 >> 8, 1000 & 0xFF}, [4]byte{0x6B, 0x1F, 0xA3, 0x52})

// headerLength returns the length of the header that begins with h.
func headerLength(h []byte) int {
	switch h[1] & lengthBits {
	case payloadLength16:
		return 2 + 2
	case payloadLength64:
		return 2 + 8
	}
	return 2
}

// payloadLength is the payload length in a whole header, and whether it has no more bytes than it needs, as RFC 6455, Section 5.2 demands.
func payloadLength(h []byte) (length uint64, minimal bool) {
	switch h[1] & lengthBits {
	case payloadLength16:
		length = uint64(binary.BigEndian.Uint16(h[2:]))
		return length, length > maxControlPayload
	case payloadLength64:
		length = binary.BigEndian.Uint64(h[2:])
		return length, length > maxPayloadLength16
	}
	return uint64(h[1] & lengthBits), true
}

func opcodeName(opcode byte) string {
	switch opcode {
	case opContinuation:
		return "Continuation"
	case OpText:
		return "Text"
	case OpBinary:
		return "Binary"
	case opClose:
		return "Close"
	case opPing:
		return "Ping"
	case opPong:
		return "Pong"
	}
	return fmt.Sprintf("reserved opcode %#x", opcode)
}

// closeText describes a Close frame's payload (RFC 6455, Section 5.5.1).
func closeText(payload []byte) string {
	if len(payload) < 2 {
		return "Close without status code"
	}
	code := binary.BigEndian.Uint16(payload)
	if len(payload) == 2 {
		return fmt.Sprintf("Close %d", code)
	}
	return fmt.Sprintf("Close %d %s", code, quote(payload[2:]))
}
