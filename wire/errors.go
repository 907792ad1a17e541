package wire

// Error is a rule of the protocol that was broken. Code is what the Close
// frame to the peer that broke it should carry; Reason says which rule, in a
// text short and harmless enough to be that frame's reason.
type Error struct {
	Code   StatusCode
	Reason string
}

// Error returns the reason with the library's prefix.
func (e *Error) Error() string { return "websocket: " + e.Reason }

// What a frame's bytes can be wrong in, whatever the connection's state.
var (
	ErrReservedOpcode    = &Error{ProtocolError, "reserved opcode"}                                 // Section 5.2
	ErrFragmentedControl = &Error{ProtocolError, "fragmented control frame"}                        // Section 5.5
	ErrControlTooLong    = &Error{ProtocolError, "control frame payload over 125 bytes"}            // Section 5.5
	ErrNonMinimalLength  = &Error{ProtocolError, "payload length not in its shortest form"}         // Section 5.2
	ErrLengthTopBit      = &Error{ProtocolError, "most significant bit of payload length set"}      // Section 5.2
	ErrClosePayload      = &Error{ProtocolError, "close payload of one byte"}                       // Section 5.5.1
	ErrStatusCode        = &Error{ProtocolError, "status code that may not stand in a close frame"} // Section 7.4
	ErrReasonTooLong     = &Error{ProtocolError, "close reason over 123 bytes"}                     // Section 5.5
	ErrReasonWithoutCode = &Error{ProtocolError, "close reason without a status code"}              // Section 5.5.1
	ErrInvalidUTF8       = &Error{InvalidFramePayloadData, "invalid UTF-8"}                         // Section 8.1
)
