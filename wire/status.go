package wire

import "strconv"

// StatusCode is the reason code of a Close frame (RFC 6455, Section 7.4). Its
// type is int so that [AppendClosePayload] can reject a value that does not fit
// two bytes.
type StatusCode int

// The codes of the IANA WebSocket Close Code Number Registry. Codes 4000 to
// 4999 are for private use.
const (
	NormalClosure           StatusCode = 1000
	GoingAway               StatusCode = 1001
	ProtocolError           StatusCode = 1002
	UnsupportedData         StatusCode = 1003
	NoStatusReceived        StatusCode = 1005 // never sent: a Close frame had no code
	AbnormalClosure         StatusCode = 1006 // never sent: no Close frame was received
	InvalidFramePayloadData StatusCode = 1007
	PolicyViolation         StatusCode = 1008
	MessageTooBig           StatusCode = 1009
	MandatoryExtension      StatusCode = 1010
	InternalError           StatusCode = 1011
	ServiceRestart          StatusCode = 1012
	TryAgainLater           StatusCode = 1013
	BadGateway              StatusCode = 1014
	TLSHandshake            StatusCode = 1015 // never sent: the TLS handshake failed
	Unauthorized            StatusCode = 3000
	Forbidden               StatusCode = 3003
	Timeout                 StatusCode = 3008
)

// Valid reports whether a Close frame may contain c, in either direction. Codes
// 1000 to 1003 and 1007 to 1014 are defined for Close frames; 3000 to 4999 are
// for libraries and applications (Section 7.4.2). Code 1004 is reserved, 1016
// to 2999 are unassigned, and 1005, 1006 and 1015 are never sent.
func (c StatusCode) Valid() bool {
	switch {
	case c >= 1000 && c <= 1003:
		return true
	case c >= 1007 && c <= 1014:
		return true
	case c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// Text returns the registry's description of c in lower case, or "" for a code
// that is not registered.
func (c StatusCode) Text() string {
	switch {
	case c >= NormalClosure && c <= TLSHandshake:
		return registered[c-NormalClosure]
	case c == Unauthorized:
		return "unauthorized"
	case c == Forbidden:
		return "forbidden"
	case c == Timeout:
		return "timeout"
	}
	return ""
}

// registered has the texts of the codes from 1000.
var registered = [...]string{
	NormalClosure - 1000:           "normal closure",
	GoingAway - 1000:               "going away",
	ProtocolError - 1000:           "protocol error",
	UnsupportedData - 1000:         "unsupported data",
	NoStatusReceived - 1000:        "no status received",
	AbnormalClosure - 1000:         "abnormal closure",
	InvalidFramePayloadData - 1000: "invalid frame payload data",
	PolicyViolation - 1000:         "policy violation",
	MessageTooBig - 1000:           "message too big",
	MandatoryExtension - 1000:      "mandatory extension",
	InternalError - 1000:           "internal error",
	ServiceRestart - 1000:          "service restart",
	TryAgainLater - 1000:           "try again later",
	BadGateway - 1000:              "bad gateway",
	TLSHandshake - 1000:            "TLS handshake",
}

// String returns the number and the text, such as "1009 (message too big)", or
// only the number for a code that is not registered.
func (c StatusCode) String() string {
	s := strconv.Itoa(int(c))
	if text := c.Text(); text != "" {
		s += " (" + text + ")"
	}
	return s
}
