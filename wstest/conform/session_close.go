package conform

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"
	"unicode/utf8"
)

// noCode is the code of a Close with an empty payload.
const noCode = -1

// closePayload returns the payload of a Close.
func closePayload(code int, reason string) []byte {
	if code == noCode {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// sendClose sends a Close with this payload, which may be illegal, as the
// judge's part of the closing handshake.
func (s *session) sendClose(payload []byte) {
	if s.local != nil {
		return
	}
	s.local = &CloseInfo{Code: noCode}
	if len(payload) >= 2 {
		s.local = &CloseInfo{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
	}
	s.closedByMe = s.remote == nil
	s.send(frame{opcode: opClose, fin: true, payload: payload})
	if s.remote == nil {
		s.after(s.options.patient(closeTimeout), func() {
			if s.remote == nil {
				s.closeTimedOut = true
				s.drop("the peer did not answer the Close in time")
			}
		})
	}
}

// kill ends a connection that is open after d: with a Close, or without one if
// the judge has sent a Close.
func (s *session) kill(d time.Duration) {
	s.after(s.options.patient(d), func() {
		s.note(LogTimer, "%v are over", d)
		s.fail(1001, "Going Away")
	})
}

// closeIn sends a Close without a code after d.
func (s *session) closeIn(d time.Duration) {
	s.after(s.options.patient(d), func() {
		s.note(LogTimer, "%v are over", d)
		s.sendClose(nil)
	})
}

// fail fails the connection, for a broken rule or a timeout: it sends a Close,
// or ends TCP if it has sent a Close already.
func (s *session) fail(code int, why string) {
	s.failedByMe = true
	if s.local != nil {
		s.drop(why)
		return
	}
	s.sendClose(closePayload(code, why))
}

// drop ends TCP in place of the peer.
func (s *session) drop(why string) {
	s.note(LogNote, "the judge ends TCP: %s", why)
	s.droppedByMe = true
	if s.whyDropped == "" {
		s.whyDropped = why
	}
	if s.closedByMe || s.remote == nil {
		s.wasClean = false
		s.notClean = why
	}
	s.abort()
}

// abort ends TCP at once, with a reset if possible.
func (s *session) abort() {
	conn := s.conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
	s.out.abort()
	conn.Close()
}

// receiveClose handles the peer's Close.
func (s *session) receiveClose(payload []byte) {
	if s.remote != nil {
		s.note(LogNote, "a second Close")
		return
	}
	s.remote = &CloseInfo{Code: noCode}
	s.remoteFirst = s.local == nil
	switch {
	case len(payload) == 1:
		s.badClose = "its payload is one byte"
	case len(payload) >= 2:
		s.remote = &CloseInfo{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
		if !utf8.Valid(payload[2:]) {
			s.badClose = fmt.Sprintf("its reason is not UTF-8: %q", payload[2:])
		}
	}
	bad := s.badClose != "" || !mayBeSent(s.remote.Code)
	if bad {
		s.note(LogNote, "the peer's Close is illegal: code %d %s", s.remote.Code, s.badClose)
	}
	switch {
	case s.local != nil:
		s.wasClean = s.notClean == ""
	case bad:
		s.wasClean = true
		s.failedByMe = true
		s.sendClose(closePayload(1002, ""))
		s.closedByMe = true
	default:
		s.wasClean = true
		s.sendClose(closePayload(1000, ""))
	}
	s.closeDone()
}

// mayBeSent reports whether an endpoint may send a Close with this code. 1012
// to 1014 are not allowed, because they are younger than RFC 6455, which the
// cases are of.
func mayBeSent(code int) bool {
	return code == noCode || code >= 1000 && code <= 1003 || code >= 1007 && code <= 1011 || code >= 3000 && code <= 4999
}

// closeDone is called after both Close frames: the server ends TCP.
func (s *session) closeDone() {
	if s.role == Server {
		if s.closedByMe {
			s.abort()
			return
		}
		s.out.finish()
		s.after(s.options.patient(dropTimeout), s.abort) // unless the peer reads everything before
		return
	}
	s.after(s.options.patient(dropTimeout), func() {
		s.dropTimedOut = true
		s.drop("the server did not end TCP after the closing handshake")
	})
}
