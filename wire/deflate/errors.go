package deflate

import "strconv"

// FormatError reports a compressed message that breaks a rule of RFC 1951 or
// RFC 7692. The connection cannot continue: fail it with status code 1007
// (RFC 7692, Section 7.2.2).
type FormatError struct {
	// Offset is the number of whole bytes of the compressed message before the
	// fault.
	Offset int64
	// Reason states the fault. It repeats numbers of the message, but no text.
	Reason string
}

// Error returns the reason and the offset, prefixed with "websocket: ".
func (e *FormatError) Error() string {
	return "websocket: compressed message: " + e.Reason + " (after " + strconv.FormatInt(e.Offset, 10) + " bytes)"
}
