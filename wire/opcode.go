package wire

import "strconv"

// Opcode is the type of a frame (RFC 6455, Section 5.2). Only its low four bits
// are encoded.
type Opcode byte

// The opcodes of RFC 6455, Section 11.8. Opcodes 3 to 7 are reserved for data
// frames and 11 to 15 for control frames.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether o is the opcode of a control frame, defined or
// reserved (Section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// IsData reports whether o is Text or Binary, the opcodes that start a message.
func (o Opcode) IsData() bool { return o == Text || o == Binary }

// Defined reports whether RFC 6455 defines o.
func (o Opcode) Defined() bool {
	return o <= Binary || o >= Close && o <= Pong
}

// String returns the name in lower case, such as "text", or "opcode 0x3" for a
// reserved opcode.
func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "opcode 0x" + strconv.FormatInt(int64(o), 16)
}
