package handshake

import (
	"strconv"
	"strings"
)

// This file parses the head of an HTTP/1.1 message: the start line, the header
// fields and the blank line.
//
//	request   method SP target SP HTTP/d.d CRLF
//	response  HTTP/d.d SP ddd [ SP reason ] CRLF
//	both      *( name ":" OWS value OWS CRLF ) CRLF
//
// The scanner reads each byte once, as it arrives, and rejects the first byte
// that the grammar does not allow. With the blank line the head is well formed.
// It is converted to one string, and the fields are substrings of it.

// Limits are the limits for the head of a message. A value of zero or less
// means the default. The limits cannot be turned off, because the sender of a
// head is not authenticated.
type Limits struct {
	Bytes       int // default 64 KiB; start line to blank line
	Fields      int // default 100; header field lines
	RequestLine int // default 8 KiB; method, target and version of a request
}

const (
	defaultHeadBytes  = 64 << 10
	defaultHeadFields = 100
	defaultHeadLine   = 8 << 10 // RFC 9112, Section 3, recommends at least 8000
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultHeadBytes
	}
	if l.Fields <= 0 {
		l.Fields = defaultHeadFields
	}
	if l.RequestLine <= 0 {
		l.RequestLine = defaultHeadLine
	}
	return l
}

// place is the grammar element that the next byte of the head belongs to.
type place uint8

const (
	atStart       place = iota // first byte of the message
	emptyLineFeed              // LF of an empty line before a request
	inMethod
	inTarget
	inRequestVersion // including the CR
	inStatusLine     // up to the last digit of the status code
	afterStatus      // SP or CR
	inReason
	startLineFeed // LF of the start line
	lineStart     // first byte of a field line, or CR of the blank line
	inName
	inValue
	valueLineFeed
	lastLineFeed
	headDone
)

// In these patterns 0 matches any digit.
const (
	requestVersion = "HTTP/0.0\r"
	statusLine     = "HTTP/0.0 000"
)

// String returns the name of the element for an error.
func (p place) String() string {
	switch p {
	case inMethod:
		return "method"
	case inTarget:
		return "request target"
	case inRequestVersion:
		return "HTTP version"
	case inStatusLine, afterStatus:
		return "status line"
	case inReason:
		return "reason phrase"
	case lineStart, inName:
		return "header field name"
	case inValue:
		return "header field value"
	case atStart, emptyLineFeed, startLineFeed, valueLineFeed, lastLineFeed, headDone:
	}
	return "head"
}

// scanner is the state of the scan of one head. The zero value is the start of
// a head.
type scanner struct {
	_      [0]func() // not comparable: programs are smaller
	place  place
	run    int // bytes read of the current method, target or pattern
	length int // bytes read of the head
	fields int // header field lines started
}

// scan reads b up to the end of the head, a byte that is not allowed, or a
// limit. It returns the number of bytes read.
func (s *scanner) scan(b []byte, first place, limits Limits) (n int, err *Error) {
	if s.place == atStart {
		s.place = first
	}
	if s.place < lineStart {
		line := limits.Bytes
		if first == inMethod {
			line = min(line, limits.RequestLine)
		}
		if n, err = s.startLine(b[:min(len(b), max(line-s.length, 0))]); err != nil {
			return n, err
		}
		if s.place < lineStart {
			if s.length < line {
				return n, nil
			}
			if line < limits.Bytes {
				return n, tooLarge(414, "request line", line, "bytes", "RequestLine")
			}
		}
	}
	rest := b[n:]
	m, err := s.headerFields(rest[:min(len(rest), max(limits.Bytes-s.length, 0))], limits.Fields)
	if err == nil && s.place != headDone && s.length >= limits.Bytes {
		err = tooLarge(431, "head", limits.Bytes, "bytes", "Bytes")
	}
	return n + m, err
}

// tooLarge returns the error for a head that exceeds a limit.
func tooLarge(status int, part string, limit int, unit, option string) *Error {
	return &Error{Status: status, Reason: part + " exceeds " + strconv.Itoa(limit) + " " + unit + " (handshake.Limits." + option + ")"}
}

// startLine reads b up to the end of the start line.
func (s *scanner) startLine(b []byte) (n int, err *Error) {
	start := s.length
	for n < len(b) && s.place < lineStart {
		c, at, ok := b[n], s.place, true
		switch at {
		case inMethod:
			if c == '\r' && s.length == 0 { // RFC 9112, Section 2.2
				s.place = emptyLineFeed
				break
			}
			ok = s.element(c, tokenByte, inTarget)
		case emptyLineFeed:
			s.place = inMethod
			ok = c == '\n'
		case inTarget:
			ok = s.element(c, targetByte, inRequestVersion)
		case inRequestVersion:
			ok = s.pattern(c, requestVersion, startLineFeed)
		case inStatusLine:
			ok = s.pattern(c, statusLine, afterStatus)
		case afterStatus:
			s.place = inReason
			if c == '\r' {
				s.place = startLineFeed
			}
			ok = c == ' ' || c == '\r'
		case inReason:
			if c == '\r' {
				s.place = startLineFeed
			} else {
				ok = octets[c]&valueByte != 0
			}
		case startLineFeed:
			s.place = lineStart
			ok = c == '\n'
		}
		if !ok {
			return n, s.refuse(at, c)
		}
		n++
		s.length = start + n
	}
	return n, nil
}

// element reads a byte of a non-empty element of the class, or the SP after it.
func (s *scanner) element(c byte, class uint8, next place) bool {
	if c == ' ' && s.run > 0 {
		s.place, s.run = next, 0
		return true
	}
	s.run++
	return octets[c]&class != 0
}

// pattern reads the next byte of a fixed text.
func (s *scanner) pattern(c byte, text string, next place) bool {
	want := text[s.run]
	if s.run++; s.run == len(text) {
		s.place, s.run = next, 0
	}
	return c == want || want == '0' && isDigit(c)
}

// headerFields reads b up to the end of the head.
func (s *scanner) headerFields(b []byte, maxFields int) (n int, err *Error) {
	start := s.length
	for n < len(b) && s.place != headDone {
		switch s.place {
		case inName:
			n += prefixLength(b[n:], tokenByte)
		case inValue:
			n += prefixLength(b[n:], valueByte)
		}
		if s.length = start + n; n == len(b) {
			break
		}
		c, at, ok := b[n], s.place, true
		switch at {
		case lineStart:
			s.place = lastLineFeed
			if c != '\r' {
				s.place = inName
				s.fields++
				ok = octets[c]&tokenByte != 0
			}
		case inName:
			s.place = inValue
			ok = c == ':'
		case inValue:
			s.place = valueLineFeed
			ok = c == '\r'
		case valueLineFeed:
			s.place = lineStart
			ok = c == '\n'
		case lastLineFeed:
			s.place = headDone
			ok = c == '\n'
		}
		if !ok {
			return n, s.refuse(at, c)
		}
		if s.fields > maxFields {
			return n, tooLarge(431, "head", maxFields, "header fields", "Fields")
		}
		n++
		s.length = start + n
	}
	return n, nil
}

// prefixLength returns the length of the prefix of b that is in the class.
func prefixLength(b []byte, class uint8) int {
	for i, c := range b {
		if octets[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// tlsHandshake is the first byte of a TLS handshake (RFC 8446, Section 5.1).
const tlsHandshake = 0x16

// refuse returns the error for the byte c, which the grammar does not allow at
// the given place.
func (s *scanner) refuse(at place, c byte) *Error {
	blank := c == ' ' || c == '\t'
	reason := ""
	switch {
	case at == inMethod && s.length == 0 && c == tlsHandshake:
		return &Error{Status: 400, Reason: "TLS on a port for plain HTTP", NotWebSocket: true}
	case at == inMethod && s.run == 1 && c == '\r': // as in the binary PROXY protocol
		reason = "two empty lines before the request"
	case at == lineStart && blank:
		reason = "header field line is folded or starts with white space"
	case at == inName && blank:
		reason = "white space before the colon of a header field"
	case c == '\n':
		reason = "LF without CR"
	case at == emptyLineFeed, at == startLineFeed, at == valueLineFeed, at == lastLineFeed:
		reason = "CR without LF"
	default:
		reason = "byte 0x" + strconv.FormatInt(int64(c), 16) + " not allowed in " + at.String()
	}
	return &Error{Status: 400, Reason: reason + " (offset " + strconv.Itoa(s.length) + ")"}
}

// proxyStart is the start of a PROXY protocol header, which a load balancer can
// send before the request.
const proxyStart = "PROXY "

// head is the state of a parser between two calls.
type head struct {
	scanner scanner
	buffer  []byte // bytes of the incomplete head; nil if one call read all
	err     *Error // returned again until Reset
}

// read reads the next bytes of a head. If they complete the head, text is all
// of it and h is reset for the next one.
func (h *head) read(b []byte, first place, limits Limits) (text string, fields, n int, err *Error) {
	if h.err != nil {
		return "", 0, 0, h.err
	}
	n, h.err = h.scanner.scan(b, first, limits.withDefaults())
	switch {
	case h.err != nil:
		if start := append(h.buffer, b[:n]...); strings.HasPrefix(string(start[:min(len(start), len(proxyStart))]), proxyStart) {
			h.err.Reason = "PROXY protocol header, want HTTP"
		}
		h.buffer = nil
		return "", 0, n, h.err
	case h.scanner.place != headDone:
		h.buffer = append(h.buffer, b[:n]...)
		return "", 0, n, nil
	case h.buffer == nil:
		text = string(b[:n])
	default:
		text = string(append(h.buffer, b[:n]...))
	}
	fields = h.scanner.fields
	*h = head{}
	return text, fields, n, nil
}

// cutLine splits the text of a head, in which each CR is followed by LF, after
// its first line.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\r") // one byte is found fastest
	return line, strings.TrimPrefix(rest, "\n")
}

// cutFields parses count field lines at the start of text, which the scanner
// has validated.
func cutFields(text string, count int) Header {
	h := make(Header, 0, count)
	for range count {
		var line string
		line, text = cutLine(text)
		name, value, _ := strings.Cut(line, ":")
		h = append(h, Field{Name: name, Value: trim(value)})
	}
	return h
}
