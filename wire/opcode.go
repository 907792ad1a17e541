package wire

import "strconv"

// Opcode tells what a frame carries (RFC 6455, Section 5.2). Only the low
// four bits travel.
type Opcode byte

// The opcodes of RFC 6455, Section 11.8. 3–7 are reserved for further data
// frames and 11–15 for further control frames.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether o is the opcode of a control frame, known or
// reserved: its high bit is set (Section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// IsData reports whether o begins a message: Text or Binary.
func (o Opcode) IsData() bool { return o == Text || o == Binary }

// Defined reports whether RFC 6455 gives o a meaning.
func (o Opcode) Defined() bool {
	return o <= Binary || o >= Close && o <= Pong
}

// String returns the opcode's name in lower case.
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
	return "opcode 0x" + strconv.FormatUint(uint64(o), 16)
}
