package wire

// Error reports a broken rule of the protocol. Code and Reason fit the Close
// frame that answers it: Reason is UTF-8 of at most [MaxReason] bytes and
// repeats nothing that the peer sent.
type Error struct {
	Code   StatusCode
	Reason string
}

// Error returns the reason, prefixed with "websocket: ".
func (e *Error) Error() string { return "websocket: " + e.Reason }

// The rules for the bytes of one frame. They hold in every state of a
// connection.
var (
	ErrReservedOpcode    = &Error{ProtocolError, "reserved opcode"}                            // Section 5.2
	ErrFragmentedControl = &Error{ProtocolError, "fragmented control frame"}                   // Section 5.5
	ErrControlTooLong    = &Error{ProtocolError, "control frame payload over 125 bytes"}       // Section 5.5
	ErrNonMinimalLength  = &Error{ProtocolError, "payload length not in its shortest form"}    // Section 5.2
	ErrLengthTopBit      = &Error{ProtocolError, "most significant bit of payload length set"} // Section 5.2
	ErrClosePayload      = &Error{ProtocolError, "close payload of one byte"}                  // Section 5.5.1
	ErrStatusCode        = &Error{ProtocolError, "status code not allowed in a close frame"}   // Section 7.4
	ErrReasonTooLong     = &Error{ProtocolError, "close reason over 123 bytes"}                // Section 5.5
	ErrReasonWithoutCode = &Error{ProtocolError, "close reason without a status code"}         // Section 5.5.1
	ErrInvalidUTF8       = &Error{InvalidFramePayloadData, "invalid UTF-8"}                    // Section 8.1
)
