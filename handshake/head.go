package handshake

import (
	"strconv"
	"strings"
)

// This file reads the head of an HTTP/1.1 message: what comes before the body.
//
//	request   method SP target SP HTTP/d.d CRLF
//	response  HTTP/d.d SP ddd [ SP reason ] CRLF
//	both      *( name ":" OWS value OWS CRLF ) CRLF
//
// scanner walks over the bytes as they arrive, each once, and refuses the first
// that cannot stand where it stands. Once the blank line is there the head is
// known to be well formed, becomes one string, and is cut into substrings.

// Limits bound the head of a message, in bytes and in header field lines. Zero or less
// means the default; there is no way to have no limit, because the sender of
// a head is not yet known to be anybody.
type Limits struct {
	Bytes       int // start line to blank line, checked as they arrive; default 64 KiB
	Fields      int // header field lines, checked when one begins; default 100
	RequestLine int // method, target and version, within Bytes; default 8 KiB. Responses have no limit of their own
}

const (
	defaultHeadBytes  = 64 << 10
	defaultHeadFields = 100
	defaultHeadLine   = 8 << 10 // RFC 9112, Section 3, asks for 8000 at least
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

// place is what the next byte of the head belongs to.
type place uint8

const (
	atStart       place = iota // the first byte of the message
	emptyLineFeed              // the LF of an empty line before a request
	inMethod
	inTarget
	inRequestVersion // and the line end
	inStatusLine     // up to the last digit of the status code
	afterStatus      // SP or CR
	inReason
	startLineFeed // the LF of the start line
	lineStart     // the first byte of a field line, or the CR of the blank line
	inName
	inValue
	valueLineFeed
	lastLineFeed
	headDone
)

// In these patterns 0 stands for any digit.
const (
	requestVersion = "HTTP/0.0\r"
	statusLine     = "HTTP/0.0 000"
)

// String names the place for an error.
func (p place) String() string {
	switch p {
	case inMethod:
		return "the method"
	case inTarget:
		return "the request target"
	case inRequestVersion:
		return "the HTTP version"
	case inStatusLine, afterStatus:
		return "the status line"
	case inReason:
		return "the reason phrase"
	case lineStart, inName:
		return "the name of a header field"
	case inValue:
		return "the value of a header field"
	case atStart, emptyLineFeed, startLineFeed, valueLineFeed, lastLineFeed, headDone:
	}
	return "the head"
}

// scanner is the position in a head. The zero value is at its beginning.
type scanner struct {
	place  place
	run    int // bytes of the current method, target, name or pattern seen
	length int // bytes of the head seen
	fields int // header field lines begun
}

// scan reads b up to the end of the head, a byte that is not allowed, or a
// limit, and returns how many bytes that were.
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

// tooLarge refuses a head that exceeds a limit, and names the option.
func tooLarge(status int, part string, limit int, unit, option string) *Error {
	return &Error{Status: status, Reason: part + " exceeds " + strconv.Itoa(limit) + " " + unit + " (handshake.Limits." + option + ")"}
}

// startLine reads to the end of the start line or of b.
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

// element takes a byte of a non-empty run of the class, or the SP after it.
func (s *scanner) element(c byte, class uint8, next place) bool {
	if c == ' ' && s.run > 0 {
		s.place, s.run = next, 0
		return true
	}
	s.run++
	return octets[c]&class != 0
}

// pattern takes the next byte of a fixed text.
func (s *scanner) pattern(c byte, text string, next place) bool {
	want := text[s.run]
	if s.run++; s.run == len(text) {
		s.place, s.run = next, 0
	}
	return c == want || want == '0' && isDigit(c)
}

// headerFields reads to the end of the head or of b.
func (s *scanner) headerFields(b []byte, maxFields int) (n int, err *Error) {
	start := s.length
	for n < len(b) && s.place != headDone {
		switch s.place {
		case inName:
			n += runOf(b[n:], tokenByte)
		case inValue:
			n += runOf(b[n:], valueByte)
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

func runOf(b []byte, class uint8) int {
	for i, c := range b {
		if octets[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// tlsHandshake is the first byte of a client that begins with TLS (RFC 8446, Section 5.1).
const tlsHandshake = 0x16

// refuse says why c cannot stand where it stands.
func (s *scanner) refuse(at place, c byte) *Error {
	blank := c == ' ' || c == '\t'
	reason := ""
	switch {
	case at == inMethod && s.length == 0 && c == tlsHandshake:
		return &Error{Status: 400, Reason: "TLS on a port for plain HTTP", NotWebSocket: true}
	case at == inMethod && s.length == len("\r\n") && c == '\r': // the binary PROXY protocol begins so
		reason = "two empty lines before the request"
	case at == lineStart && blank:
		reason = "a header field line is folded or begins with white space"
	case at == inName && blank:
		reason = "white space stands before the colon of a header field"
	case c == '\n':
		reason = "a line end lacks its CR"
	case at == emptyLineFeed, at == startLineFeed, at == valueLineFeed, at == lastLineFeed:
		reason = "a CR is not followed by LF"
	default:
		reason = "byte 0x" + strconv.FormatUint(uint64(c), 16) + " is not allowed in " + at.String()
	}
	return &Error{Status: 400, Reason: reason + " (offset " + strconv.Itoa(s.length) + ")"}
}

// proxyStart is how a PROXY protocol header begins, which a load balancer sends first.
const proxyStart = "PROXY "

// head is what a parser keeps of an incomplete head.
type head struct {
	scanner scanner
	buffer  []byte // the bytes scanned, if the head came in pieces
	err     *Error // what the head was refused for
}

// read takes the next bytes of a head. If they complete it, text is the whole
// head and h is ready for the next one.
func (h *head) read(b []byte, first place, limits Limits) (text string, fields, n int, err *Error) {
	if h.err != nil {
		return "", 0, 0, h.err
	}
	n, h.err = h.scanner.scan(b, first, limits.withDefaults())
	switch {
	case h.err != nil:
		if start := append(h.buffer, b[:n]...); strings.HasPrefix(string(start[:min(len(start), len(proxyStart))]), proxyStart) {
			h.err.Reason = "the PROXY protocol where HTTP was expected"
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

// cutLine cuts the first line off the text of a head.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\r\n")
	return line, rest
}

// cutFields cuts the field lines of a head, which the scanner has counted, into
// names and values.
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
