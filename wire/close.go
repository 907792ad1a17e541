package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxReason is the size of the longest reason of a Close frame: 123 bytes, a
// control frame's payload without the status code.
const MaxReason = MaxControlPayload - 2

// AppendClosePayload appends the payload of a Close frame (RFC 6455, Section
// 5.5.1) and returns the extended slice. Code 0 stands for an empty payload,
// without code and reason.
//
// On an error dst is returned unchanged. The error is [ErrStatusCode] for a
// code that is not [StatusCode.Valid], such as 1005 and 1006,
// [ErrReasonTooLong], [ErrReasonWithoutCode] for a reason with code 0, or
// [ErrInvalidUTF8].
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

// ParseClosePayload parses the payload of a received Close frame. The reason
// aliases p. The code of an empty payload is [NoStatusReceived] (Section
// 7.1.5).
//
// The error is [ErrClosePayload], [ErrStatusCode] or [ErrInvalidUTF8]. With
// ErrStatusCode and ErrInvalidUTF8 the code and the reason are returned too, as
// the peer sent them.
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
