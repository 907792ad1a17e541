package wire

import "strconv"

// StatusCode says why a connection was closed (RFC 6455, Section 7.4). It is
// an int and not a uint16 so that a value that does not fit two bytes is
// refused rather than cut to another code.
type StatusCode int

// The codes of the IANA WebSocket Close Code Number Registry. 4000–4999 are
// for private use.
const (
	NormalClosure           StatusCode = 1000
	GoingAway               StatusCode = 1001
	ProtocolError           StatusCode = 1002
	UnsupportedData         StatusCode = 1003
	NoStatusReceived        StatusCode = 1005 // reported only: a Close frame without a code
	AbnormalClosure         StatusCode = 1006 // reported only: no Close frame at all
	InvalidFramePayloadData StatusCode = 1007
	PolicyViolation         StatusCode = 1008
	MessageTooBig           StatusCode = 1009
	MandatoryExtension      StatusCode = 1010
	InternalError           StatusCode = 1011
	ServiceRestart          StatusCode = 1012
	TryAgainLater           StatusCode = 1013
	BadGateway              StatusCode = 1014
	TLSHandshake            StatusCode = 1015 // reported only: the TLS handshake failed
	Unauthorized            StatusCode = 3000
	Forbidden               StatusCode = 3003
	Timeout                 StatusCode = 3008
)

// Valid reports whether c may stand in a Close frame, in either direction:
// 1000–1003 and 1007–1014 have a meaning on the wire, 3000–4999 belong to
// libraries and applications (Section 7.4.2). 1004 is reserved, 1005, 1006 and
// 1015 are only ever reported to the application, 1016–2999 are unassigned.
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

// Text returns the registry's description of c, in lower case, or "" if the
// registry has none.
func (c StatusCode) Text() string {
	switch c {
	case NormalClosure:
		return "normal closure"
	case GoingAway:
		return "going away"
	case ProtocolError:
		return "protocol error"
	case UnsupportedData:
		return "unsupported data"
	case NoStatusReceived:
		return "no status received"
	case AbnormalClosure:
		return "abnormal closure"
	case InvalidFramePayloadData:
		return "invalid frame payload data"
	case PolicyViolation:
		return "policy violation"
	case MessageTooBig:
		return "message too big"
	case MandatoryExtension:
		return "mandatory extension"
	case InternalError:
		return "internal error"
	case ServiceRestart:
		return "service restart"
	case TryAgainLater:
		return "try again later"
	case BadGateway:
		return "bad gateway"
	case TLSHandshake:
		return "TLS handshake"
	case Unauthorized:
		return "unauthorized"
	case Forbidden:
		return "forbidden"
	case Timeout:
		return "timeout"
	}
	return ""
}

// String returns the number and, where there is one, the text: "1009 (message
// too big)".
func (c StatusCode) String() string {
	s := strconv.Itoa(int(c))
	if text := c.Text(); text != "" {
		s += " (" + text + ")"
	}
	return s
}
