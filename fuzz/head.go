package fuzz

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// This file reads the head of an HTTP message all at once, by regular
// expressions, and holds the incremental parsers against that.

const tchar = "[!#$%&'*+.^_`|~0-9A-Za-z-]" // RFC 9110, Section 5.6.2

var (
	token       = regexp.MustCompile("^" + tchar + "+$")
	requestLine = regexp.MustCompile(`^(` + tchar + `+) ([\x21-\x7e]+) (HTTP/[0-9]\.[0-9])$`)
	statusLine  = regexp.MustCompile(`^(HTTP/[0-9]\.[0-9]) ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$`)
	fieldLine   = regexp.MustCompile(`^(` + tchar + `+):([\t\x20-\x7e\x80-\xff]*)$`)
	fieldValue  = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)
)

// latin1 returns a string with a rune for each byte, as regular expressions need
// it to speak of bytes.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// matches reports whether s, byte by byte, matches.
func matches(re *regexp.Regexp, s string) bool { return re.MatchString(latin1(s)) }

// readHead returns the start line and the fields of the head that b begins with,
// and its size; 0 if it is not whole or not well-formed.
func readHead(b []byte, start *regexp.Regexp, longest int, limits handshake.Limits) (line string, fields handshake.Header, size int) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return "", nil, 0
	}
	size = end + len("\r\n\r\n")
	line, rest, _ := strings.Cut(string(b[:end]), "\r\n")
	if !matches(start, line) || len(line)+2 > longest || size > limits.Bytes {
		return "", nil, 0
	}
	for rest != "" {
		var field string
		field, rest, _ = strings.Cut(rest, "\r\n")
		if !matches(fieldLine, field) {
			return "", nil, 0
		}
		name, value, _ := strings.Cut(field, ":")
		fields = append(fields, handshake.Field{Name: name, Value: strings.Trim(value, " \t")})
	}
	if len(fields) > limits.Fields {
		return "", nil, 0
	}
	return line, fields, size
}

// headLimits returns limits for a parser, and as they count.
func headLimits(kind byte) (set, count handshake.Limits) {
	switch kind % 4 {
	case 0:
		return handshake.Limits{}, handshake.Limits{Bytes: 64 << 10, Fields: 100}
	case 1:
		set = handshake.Limits{Bytes: 200, Fields: 6}
	case 2:
		set = handshake.Limits{Bytes: 40, Fields: 1}
	default:
		set = handshake.Limits{Bytes: 1 << 20, Fields: 200}
	}
	return set, set
}

// headParser is a parser of requests or of responses.
type headParser[T any] interface {
	Parse(b []byte) (*T, int, error)
	Reset()
}

// parseHead has a new parser read a head whole and in pieces, and returns the
// head, if it is whole and well-formed, and its size.
func parseHead[T any](newParser func() headParser[T], stream []byte, cuts uint64) (head *T, size int, err error) {
	p := newParser()
	own := bytes.Clone(stream)
	head, size, err = p.Parse(own)
	switch {
	case !bytes.Equal(own, stream):
		violated("reading a head changes nothing", "%q became %q", stream, own)
	case size < 0 || size > len(stream), head == nil && err == nil && size != len(stream):
		violated("an incomplete head consumes all bytes, a complete one a prefix", "%d of %q", size, stream)
	case head != nil && err != nil:
		violated("a head is read or refused", "%q: %+v and %v", stream, head, err)
	}
	for i := range own {
		own[i] = 'X' // the parser must not refer to these bytes any more
	}
	for _, largest := range []int{1, 7, 40} {
		headInPieces(newParser(), stream, pieces(largest, cuts), head, size, err)
	}
	if err != nil {
		refusedForGood(p, stream, err)
	}
	if head != nil {
		headPrefixes(newParser, stream[:size])
		nextHead(newParser, p, stream[size:])
	}
	return head, size, err
}

// headInPieces wants the outcome of the whole.
func headInPieces[T any](p headParser[T], stream []byte, next func(int) int, head *T, size int, err error) {
	taken := 0
	for taken < len(stream) {
		n := next(len(stream) - taken)
		got, used, gotErr := p.Parse(stream[taken : taken+n])
		taken += used
		if got == nil && gotErr == nil && used == n {
			continue
		}
		if !reflect.DeepEqual(got, head) || got != nil && taken != size || !sameText(gotErr, err) {
			violated("a head is read alike whole and in pieces", "%q\nwhole  %+v, %d, %v\npieces %+v, %d, %v", stream, head, size, err, got, taken, gotErr)
		}
		return
	}
	if head != nil || err != nil {
		violated("a head is read alike whole and in pieces", "%q\nwhole  %+v, %v\nin pieces it is not complete", stream, head, err)
	}
}

// sameText compares the texts of errors.
func sameText(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}

// refusedForGood asks again, also after Reset.
func refusedForGood[T any](p headParser[T], stream []byte, err error) {
	if head, _, again := p.Parse([]byte("\r\n\r\n")); head != nil || !sameText(again, err) {
		violated("a head that is refused stays refused", "%q: %v, then %+v, %v", stream, err, head, again)
	}
	p.Reset()
	if _, _, again := p.Parse(stream); !sameText(again, err) {
		violated("Reset forgets", "%q: %v, then %v", stream, err, again)
	}
}

// headPrefixes wants each prefix of a good head to need more.
func headPrefixes[T any](newParser func() headParser[T], whole []byte) {
	step := 1 + len(whole)/256
	for n := 0; n < len(whole); n += step {
		if head, used, err := newParser().Parse(whole[:n]); head != nil || err != nil || used != n {
			violated("a part of a good head needs more", "%q: %+v, %d, %v", whole[:n], head, used, err)
		}
	}
}

// nextHead wants p, which has read a head, to be as good as new.
func nextHead[T any](newParser func() headParser[T], p headParser[T], rest []byte) {
	head, n, err := p.Parse(rest)
	want, wantN, wantErr := newParser().Parse(rest)
	if !reflect.DeepEqual(head, want) || n != wantN || !sameText(err, wantErr) {
		violated("bytes after a head are not consumed", "%q\n got %+v, %d, %v\nwant %+v, %d, %v", rest, head, n, err, want, wantN, wantErr)
	}
}
