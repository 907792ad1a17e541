package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxReason is the size in bytes of the longest reason that fits a Close frame
// beside its status code.
const MaxReason = MaxControlPayload - 2

// AppendClosePayload appends the payload of a Close frame (RFC 6455, Section
// 5.5.1) and returns the extended slice. With code 0 the payload is empty, and
// then the reason must be too.
//
// It fails, and appends nothing, with ErrStatusCode for a code that may not
// stand in a Close frame (among them 1005 and 1006, which are what an endpoint
// reports when there was no code), ErrReasonTooLong, ErrReasonWithoutCode or
// ErrInvalidUTF8.
func AppendClosePayload(dst []byte, code StatusCode, reason string) ([]byte, error) {
	switch {
	case code == 0 && reason == "":
		return dst, nil
	case code == 0:
		return dst, ErrReasonWithoutCode
	case !code.Valid():
		return dst, ErrStatusCode
	case len(reason) > MaxReason:
		return dst, ErrReasonTooLong
	case !utf8.ValidString(reason):
		return dst, ErrInvalidUTF8
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...), nil
}

// ParseClosePayload reads the payload of a received Close frame. The reason is
// part of p. An empty payload has the code NoStatusReceived (Section 7.1.5).
//
// It fails with ErrClosePayload, ErrStatusCode or ErrInvalidUTF8. With the
// latter two, the code and the reason are those of p.
func ParseClosePayload(p []byte) (code StatusCode, reason []byte, err error) {
	switch len(p) {
	case 0:
		return NoStatusReceived, nil, nil
	case 1:
		return 0, nil, ErrClosePayload
	}
	code, reason = StatusCode(binary.BigEndian.Uint16(p)), p[2:]
	if !code.Valid() {
		return code, reason, ErrStatusCode
	}
	if !utf8.Valid(reason) {
		return code, reason, ErrInvalidUTF8
	}
	return code, reason, nil
}
