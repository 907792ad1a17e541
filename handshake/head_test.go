package handshake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

func TestContextOfARequest(t *testing.T) {
	var r handshake.Request
	if r.Context() != context.Background() {
		t.Errorf("the default is %v", r.Context())
	}
	r.SetContext(t.Context())
	if r.Context() != t.Context() {
		t.Errorf("got %v, want the one that was set", r.Context())
	}
}

func TestRequestHeadIsReadAsWritten(t *testing.T) {
	const text = "GET /chat?a=b HTTP/1.1\r\nHost:h\r\nX-Empty:\r\nx-blank: \t \r\nX-A: \t a \tb\t \r\nX-A:ü:\xff\r\n\r\n"
	r := parseRequest(t, text)
	want := handshake.Request{Method: "GET", Target: "/chat?a=b", Proto: "HTTP/1.1", Header: handshake.Header{
		{"Host", "h"}, {"X-Empty", ""}, {"x-blank", ""}, {"X-A", "a \tb"}, {"X-A", "ü:\xff"},
	}}
	got := handshake.Request{Method: r.Method, Target: r.Target, Proto: r.Proto, Header: r.Header}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r.Text() != text {
		t.Errorf("got text %q", r.Text())
	}
	if r := parseRequest(t, "get * HTTP/2.0\r\n\r\n"); r.Method != "get" || r.Target != "*" || r.Proto != "HTTP/2.0" || len(r.Header) != 0 {
		t.Errorf("got %+v", r)
	}
}

// The text of a Request that no parser has made is a head with the same
// elements, if there is one.
func TestTextOfARequest(t *testing.T) {
	many := handshake.Request{Method: "GET", Target: "/" + strings.Repeat("a", 9<<10), Proto: "HTTP/1.1"}
	for i := range 150 {
		many.Header = append(many.Header, handshake.Field{Name: "X-A", Value: strings.Repeat("v", i*10)})
	}
	for _, r := range []handshake.Request{
		{Method: "GET", Target: "/chat?a=b", Proto: "HTTP/1.1", Header: handshake.Header{{"Host", "h"}, {"x-empty", ""}, {"X-A", "ü:\xff b"}, {"X-A", "2"}}},
		{Method: "CONNECT", Target: "/", Proto: "HTTP/2.0"},
		many,
	} {
		text := r.Text()
		if !strings.HasPrefix(text, r.Method+" "+r.Target+" ") {
			t.Fatalf("got text %q", text)
		}
		again := handshake.RequestOf(text)
		if again.Text() != text || again.Method != r.Method || again.Target != r.Target || again.Proto != r.Proto || !slices.Equal(again.Header, r.Header) {
			t.Errorf("got %+v, want %+v", again, r)
		}
	}
	afterEmptyLine := parseRequest(t, "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if again := handshake.RequestOf(afterEmptyLine.Text()); !reflect.DeepEqual(again, afterEmptyLine) {
		t.Errorf("got %+v, want %+v", again, afterEmptyLine)
	}
}

func TestRequestWithoutAText(t *testing.T) {
	for _, spoil := range []func(r *handshake.Request){
		func(r *handshake.Request) { r.Method = "" },
		func(r *handshake.Request) { r.Method = "GE T" },
		func(r *handshake.Request) { r.Method = "\r\nGET" },
		func(r *handshake.Request) { r.Target = "/ a" },
		func(r *handshake.Request) { r.Proto = "HTTP/3" },
		func(r *handshake.Request) { r.Header[0].Name = "" },
		func(r *handshake.Request) { r.Header[0].Name = "A:b" },
		func(r *handshake.Request) { r.Header[0].Name = "\r\nA" },
		func(r *handshake.Request) { r.Header[0].Value = " a" },
		func(r *handshake.Request) { r.Header[0].Value = "a\r\nB: c" },
		func(r *handshake.Request) { r.Header[0].Value = "a\r\n\r\n" },
	} {
		r := handshake.Request{Method: "GET", Target: "/", Proto: "HTTP/1.1", Header: handshake.Header{{"A", "b"}}}
		if r.Text() == "" {
			t.Fatal("the request has no text")
		}
		if spoil(&r); r.Text() != "" {
			t.Errorf("%+v has the text %q", r, r.Text())
		}
	}
}

func TestResponseHeadIsReadAsWritten(t *testing.T) {
	for _, c := range []struct {
		line string
		want handshake.Response
	}{
		{"HTTP/1.1 101 Switching Protocols", handshake.Response{Proto: "HTTP/1.1", Status: 101, Reason: "Switching Protocols"}},
		{"HTTP/1.1 101 ", handshake.Response{Proto: "HTTP/1.1", Status: 101}},
		{"HTTP/1.1 101", handshake.Response{Proto: "HTTP/1.1", Status: 101}},
		{"HTTP/1.0 404 Nicht gefunden, \xfc\t!", handshake.Response{Proto: "HTTP/1.0", Status: 404, Reason: "Nicht gefunden, \xfc\t!"}},
		{"HTTP/1.1 099 x", handshake.Response{Proto: "HTTP/1.1", Status: 99, Reason: "x"}},
	} {
		c.want.Header = handshake.Header{{"A", "b"}}
		if got := parseResponse(t, head(c.line, "A: b")); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%q: got %+v, want %+v", c.line, *got, c.want)
		}
	}
}

// 6455-4.1-z, 6455-4.2.2-m: bytes after the blank line are frames. A complete
// head gives the same result in any pieces.
func TestHeadsCutAnywhereConsumeExactlyTheHead(t *testing.T) {
	const frames = "\x81\x85\x00\x00\x00\x00Hello\r\n\r\n"
	request := head(requestLine, append(requestFields, "X-Empty:", "Origin: http://h")...)
	response := head("HTTP/1.1 101 Switching Protocols", responseFields...)
	wantRequest, wantResponse := parseRequest(t, request), parseResponse(t, response)

	var requests handshake.RequestParser // one parser for all heads
	var responses handshake.ResponseParser
	for i := range len(request) {
		for _, j := range []int{i, (i + len(request)) / 2, len(request) - 1} {
			got := feed(t, requests.Parse, len(request), request[:i], request[i:j], request[j:]+frames)
			if !reflect.DeepEqual(got, wantRequest) {
				t.Fatalf("cut at %d and %d: got %+v", i, j, got)
			}
		}
	}
	for i := range len(response) {
		if got := feed(t, responses.Parse, len(response), response[:i], response[i:]+frames); !reflect.DeepEqual(got, wantResponse) {
			t.Fatalf("cut at %d: got %+v", i, got)
		}
	}
	if got := feed(t, requests.Parse, len(request), inBytes(request)...); !reflect.DeepEqual(got, wantRequest) {
		t.Fatalf("bytewise: got %+v", got)
	}
	if got := feed(t, responses.Parse, len(response), inBytes(response)...); !reflect.DeepEqual(got, wantResponse) {
		t.Fatalf("bytewise: got %+v", got)
	}
}

// feed passes the pieces to a parser and returns the head, which must be size
// bytes long and end in the last piece.
func feed[T any](t *testing.T, parse func([]byte) (*T, int, error), size int, pieces ...string) *T {
	t.Helper()
	used := 0
	for i, piece := range pieces {
		b := []byte(piece)
		r, n, err := parse(b)
		used += n
		clear(b) // b is not retained
		switch {
		case err != nil:
			t.Fatalf("piece %d %q: %v", i, piece, err)
		case r == nil && n != len(piece):
			t.Fatalf("piece %d %q: used %d bytes of an incomplete head", i, piece, n)
		case r != nil && (i != len(pieces)-1 || used != size):
			t.Fatalf("piece %d of %d %q: complete after %d bytes, want %d", i, len(pieces), piece, used, size)
		case r != nil:
			return r
		}
	}
	t.Fatalf("incomplete after %d bytes, want %d", used, size)
	return nil
}

// malformed are heads with the invalid byte in «», and the reasons. The bytes
// before it are valid.
var malformed = []struct{ rule, head, want string }{
	{"9112-2.2-a bare LF ends a field", "GET / HTTP/1.1\r\nHost: h«\n»\r\n", "LF without CR"},
	{"9112-2.2-a bare LF ends the request line", "GET / HTTP/1.1«\n»Host: h\r\n\r\n", "LF without CR"},
	{"9112-2.2-a bare LF ends the head", "GET / HTTP/1.1\r\nHost: h\r\n«\n»", "LF without CR"},
	{"9112-2.2-a bare CR in a value", "GET / HTTP/1.1\r\nX: a\r«b»\r\n\r\n", "CR without LF"},
	{"9112-2.2-a bare CR in the request line", "GET /«\r»b HTTP/1.1\r\n\r\n", "byte 0xd not allowed in request target"},
	{"9112-2.2-a CR CR LF", "GET / HTTP/1.1\r\nX: a\r«\r»\n\r\n", "CR without LF"},
	{"9112-2.2-a CR and more at the end", "GET / HTTP/1.1\r\nX: a\r\n\r«a»", "CR without LF"},
	{"9112-2.2-a two empty lines before the request", "\r\n«\r»\nGET / HTTP/1.1\r\n\r\n", "two empty lines before the request"},
	{"9112-2.2-a bare LF before the request", "«\n»GET / HTTP/1.1\r\n\r\n", "LF without CR"},
	{"9112-2.2-a bare CR before the request", "\r«G»ET / HTTP/1.1\r\n\r\n", "CR without LF"},
	{"9112-5.1-a T-D15 space before the colon", "GET / HTTP/1.1\r\nUpgrade« »: websocket\r\n\r\n", "white space before the colon of a header field"},
	{"9112-5.1-a tab before the colon", "GET / HTTP/1.1\r\nUpgrade«\t»: websocket\r\n\r\n", "white space before the colon of a header field"},
	{"9112-5.2-a folded line", "GET / HTTP/1.1\r\nConnection: keep-alive,\r\n« »Upgrade\r\n\r\n", "header field line is folded or starts with white space"},
	{"9112-5.2-a folded with a tab", "GET / HTTP/1.1\r\nConnection: keep-alive,\r\n«\t»Upgrade\r\n\r\n", "header field line is folded or starts with white space"},
	{"9112-5.2-a white space before the first field", "GET / HTTP/1.1\r\n« »Host: h\r\n\r\n", "header field line is folded or starts with white space"},
	{"no name", "GET / HTTP/1.1\r\n«:» h\r\n\r\n", "byte 0x3a not allowed in header field name"},
	{"no colon", "GET / HTTP/1.1\r\nHost«\r»\n\r\n", "byte 0xd not allowed in header field name"},
	{"separator in a name", "GET / HTTP/1.1\r\nHo«/»st: h\r\n\r\n", "byte 0x2f not allowed in header field name"},
	{"letter outside ASCII in a name", "GET / HTTP/1.1\r\nH«\xc3»\xb6st: h\r\n\r\n", "byte 0xc3 not allowed in header field name"},
	{"NUL in a value", "GET / HTTP/1.1\r\nX: a«\x00»b\r\n\r\n", "byte 0x0 not allowed in header field value"},
	{"NUL in a name", "GET / HTTP/1.1\r\nX«\x00»: b\r\n\r\n", "byte 0x0 not allowed in header field name"},
	{"BEL in a value", "GET / HTTP/1.1\r\nX: a«\x07»b\r\n\r\n", "byte 0x7 not allowed in header field value"},
	{"DEL in a value", "GET / HTTP/1.1\r\nX: a«\x7f»b\r\n\r\n", "byte 0x7f not allowed in header field value"},
	{"no method", "« »/ HTTP/1.1\r\n\r\n", "byte 0x20 not allowed in method"},
	{"separator in the method", "G«@»T / HTTP/1.1\r\n\r\n", "byte 0x40 not allowed in method"},
	{"no target", "GET « »HTTP/1.1\r\n\r\n", "byte 0x20 not allowed in request target"},
	{"tab after the method", "GET«\t»/ HTTP/1.1\r\n\r\n", "byte 0x9 not allowed in method"},
	{"letter outside ASCII in the target", "GET /«\xc3»\xbc HTTP/1.1\r\n\r\n", "byte 0xc3 not allowed in request target"},
	{"control character in the target", "GET /«\x01» HTTP/1.1\r\n\r\n", "byte 0x1 not allowed in request target"},
	{"space in the target", "GET /a «b» HTTP/1.1\r\n\r\n", "byte 0x62 not allowed in HTTP version"},
	{"no version (HTTP/0.9)", "GET /«\r»\n\r\n", "byte 0xd not allowed in request target"},
	{"version in small letters", "GET / «h»ttp/1.1\r\n\r\n", "byte 0x68 not allowed in HTTP version"},
	{"version without minor", "GET / HTTP/1«\r»\n\r\n", "byte 0xd not allowed in HTTP version"},
	{"version of two digits", "GET / HTTP/1.1«0»\r\n\r\n", "byte 0x30 not allowed in HTTP version"},
	{"version in letters", "GET / HTTP/«x».1\r\n\r\n", "byte 0x78 not allowed in HTTP version"},
	{"space after the version", "GET / HTTP/1.1« »\r\n\r\n", "byte 0x20 not allowed in HTTP version"},
	{"TLS ClientHello", "«\x16»\x03\x01\x02\x00", "TLS on a port for plain HTTP"},
	{"WebSocket frame", "«\x81»\x85\x00\x00\x00\x00", "byte 0x81 not allowed in method"},
	{"CR in the method", "G«\r»", "byte 0xd not allowed in method"},
	{"CR in the method, after an empty line", "\r\nG«\r»", "byte 0xd not allowed in method"},
	{"CR for a target", "GET «\r»", "byte 0xd not allowed in request target"},
	{"control character after an empty line", "\r\n«\x16»", "byte 0x16 not allowed in method"},
	{"control character after two fields", "GET / HTTP/1.1\r\nA: b\r\nC: d\r\n«\x16»", "byte 0x16 not allowed in header field name"},
	{"CR and more at the end of no fields", "GET / HTTP/1.1\r\n\r«c»", "CR without LF"},
	{"CR and more at the end of the request line", "GET / HTTP/1.1\r«x»", "CR without LF"},
	{"tab in the target", "GET /a«\t»b", "byte 0x9 not allowed in request target"},
}

var malformedResponses = []struct{ rule, head, want string }{
	{"9112-2.2-a bare LF ends the status line", "HTTP/1.1 101 x«\n»A: b\r\n\r\n", "LF without CR"},
	{"9112-5.2-a folded line", "HTTP/1.1 101 x\r\nA: b\r\n« »c\r\n\r\n", "header field line is folded or starts with white space"},
	{"9112-5.1-a space before the colon", "HTTP/1.1 101 x\r\nUpgrade« »: websocket\r\n\r\n", "white space before the colon of a header field"},
	{"other protocol", "«S»SH-2.0-OpenSSH\r\n", "byte 0x53 not allowed in status line"},
	{"small letters", "«h»ttp/1.1 101 x\r\n\r\n", "byte 0x68 not allowed in status line"},
	{"no status", "HTTP/1.1«\r»\n\r\n", "byte 0xd not allowed in status line"},
	{"two digits", "HTTP/1.1 10«\r»\n\r\n", "byte 0xd not allowed in status line"},
	{"four digits", "HTTP/1.1 101«0» x\r\n\r\n", "byte 0x30 not allowed in status line"},
	{"letters", "HTTP/1.1 1«x»1 x\r\n\r\n", "byte 0x78 not allowed in status line"},
	{"two spaces", "HTTP/1.1 « »101 x\r\n\r\n", "byte 0x20 not allowed in status line"},
	{"tab", "HTTP/1.1«\t»101 x\r\n\r\n", "byte 0x9 not allowed in status line"},
	{"NUL in the reason", "HTTP/1.1 101 a«\x00»b\r\n\r\n", "byte 0x0 not allowed in reason phrase"},
	{"TLS alert", "«\x16»\x03\x01", "byte 0x16 not allowed in status line"},
	{"bare LF in the reason", "HTTP/1.1 101 a«\n»", "LF without CR"},
	{"CR and more at the end of the status line", "HTTP/1.1 101\r«x»", "CR without LF"},
}

// An invalid byte is rejected when it arrives, and no byte before it. The error
// has its offset. T-D15
func TestMalformedHeadsFailAtTheByteAtFault(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.rule, func(t *testing.T) {
			var p handshake.RequestParser
			err := failsAt(t, &p, c.head, "websocket: handshake refused with 400 Bad Request: "+c.want)
			if refused := check.As[*handshake.Error](t, err, "the error"); refused.Status != 400 || refused.NotWebSocket != strings.HasPrefix(c.rule, "TLS") {
				t.Errorf("got %+v", refused)
			}
			checkSticky(t, p.Parse, p.Reset, head(requestLine))
		})
	}
	for _, c := range malformedResponses {
		t.Run("response: "+c.rule, func(t *testing.T) {
			var p handshake.ResponseParser
			check.As[*handshake.ResponseError](t, failsAt(t, &p, c.head, "websocket: handshake response: "+c.want), "the error")
			checkSticky(t, p.Parse, p.Reset, head("HTTP/1.1 101"))
		})
	}
}

// failsAt parses a head up to its invalid byte and from it on, in single bytes,
// and in one piece. The parser is left with the error.
func failsAt[T any](t *testing.T, p interface {
	Parse([]byte) (*T, int, error)
	Reset()
}, marked, want string) (err error) {
	t.Helper()
	before, rest, _ := strings.Cut(marked, "«")
	bad, after, _ := strings.Cut(rest, "»")
	whole := before + bad + after
	if !strings.Contains(want, "TLS") {
		want += fmt.Sprintf(" (offset %d)", len(before))
	}
	for _, pieces := range [][]string{inBytes(before + bad), {whole}, {before, bad + after}} {
		p.Reset()
		used := 0
		for i, piece := range pieces {
			r, n, e := p.Parse([]byte(piece))
			if used, err = used+n, e; r != nil || (err != nil) != (i == len(pieces)-1) {
				t.Fatalf("%q, piece %d: %v, %v", pieces, i, r, err)
			}
		}
		if used != len(before) || err.Error() != want {
			t.Errorf("%q: %v after %d bytes, want %s after %d", pieces, err, used, want, len(before))
		}
	}
	return err
}

// inBytes returns the bytes of s.
func inBytes(s string) (list []string) {
	for i := range len(s) {
		list = append(list, s[i:i+1])
	}
	return list
}

func checkSticky[T any](t *testing.T, parse func([]byte) (*T, int, error), reset func(), valid string) {
	t.Helper()
	if r, n, err := parse([]byte(valid)); r != nil || n != 0 || err == nil {
		t.Errorf("after the fault: %v, %d, %v", r, n, err)
	}
	reset()
	if r, n, err := parse([]byte(valid)); r == nil || n != len(valid) || err != nil {
		t.Errorf("after Reset: %v, %d, %v", r, n, err)
	}
}

// A PROXY protocol header was reported as a byte that is not allowed in the
// HTTP version.
func TestPROXYProtocolIsNamed(t *testing.T) {
	for _, in := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n", "PROXY UNKNOWN\r\n"} {
		for size := range len(in) {
			var p handshake.RequestParser
			if _, err := inPieces(p.Parse, in, size+1); status(t, err) != 400 || !strings.Contains(err.Error(), "PROXY protocol") {
				t.Errorf("%q in pieces of %d: %v", in, size+1, err)
			}
		}
	}
}

// RFC 9112, Section 2.2: an empty line before the request is ignored. Some
// clients send one after the body of the request before. The text of the head
// does not include it.
func TestEmptyLineBeforeRequestIsIgnored(t *testing.T) {
	request := head(requestLine, requestFields...)
	in := "\r\n" + request
	for cut := range len(in) {
		var p handshake.RequestParser
		r := feed(t, p.Parse, len(in), in[:cut], in[cut:]+"frames")
		if r.Text() != request || r.Method != "GET" {
			t.Fatalf("cut at %d: %q", cut, r.Text())
		}
		check.Must(t, check.Err(handshake.ValidateRequest(r)))
	}
}

// 9112-3-a, 6455-4.1-ac, 6455-4.2.2-n, T-D04, T-D05: a head of the size of a
// limit is accepted. A larger one is rejected at the first byte over the limit.
func TestHeadLimits(t *testing.T) {
	sized := func(n int) string { // a head of n bytes
		h := head(requestLine, "X: ")
		return head(requestLine, "X: "+strings.Repeat("x", n-len(h)))
	}
	line := func(n int) string { // a request line of n bytes with its CRLF
		return head("GET /" + strings.Repeat("x", n-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1")
	}
	fields := func(n int) string { return head(requestLine, slices.Repeat([]string{"X: y"}, n)...) }
	cases := []struct {
		rule   string
		limits handshake.Limits
		in     string
		status int
		after  int // bytes before the error
	}{
		{"64 KiB by default", handshake.Limits{}, sized(64 << 10), 0, 0},
		{"a byte more", handshake.Limits{}, sized(64<<10 + 1), 431, 64 << 10},
		{"1 MiB of fields", handshake.Limits{}, sized(1 << 20), 431, 64 << 10},
		{"negative is the default", handshake.Limits{Bytes: -1, Fields: -1}, sized(64<<10 + 1), 431, 64 << 10},
		{"own limit", handshake.Limits{Bytes: 100}, sized(100), 0, 0},
		{"own limit, a byte more", handshake.Limits{Bytes: 100}, sized(101), 431, 100},
		{"own limit within the request line", handshake.Limits{Bytes: 10}, sized(100), 431, 10},
		{"request line of 8 KiB", handshake.Limits{}, line(8 << 10), 0, 0},
		{"a byte more", handshake.Limits{}, line(8<<10 + 1), 414, 8 << 10},
		{"request line of 1 MiB", handshake.Limits{}, line(1 << 20), 414, 8 << 10},
		{"endless method", handshake.Limits{}, strings.Repeat("G", 1<<20), 414, 8 << 10},
		{"endless name", handshake.Limits{}, requestLine + "\r\n" + strings.Repeat("N", 1<<20), 431, 64 << 10},
		{"100 fields by default", handshake.Limits{}, fields(100), 0, 0},
		{"a field more", handshake.Limits{}, fields(101), 431, len(fields(100)) - 2},
		{"own request line", handshake.Limits{RequestLine: 60 << 10}, line(60 << 10), 0, 0},
		{"own request line, a byte more", handshake.Limits{RequestLine: 60 << 10}, line(60<<10 + 1), 414, 60 << 10},
		{"own request line, and more bytes", handshake.Limits{RequestLine: 100 << 10, Bytes: 200 << 10}, line(100 << 10), 0, 0},
		{"own short request line", handshake.Limits{RequestLine: 20}, line(21), 414, 20},
		{"request line over all bytes", handshake.Limits{RequestLine: 100 << 10}, line(100 << 10), 431, 64 << 10},
		{"own number of fields", handshake.Limits{Fields: 1}, fields(1), 0, 0},
		{"own number of fields, one more", handshake.Limits{Fields: 1}, fields(2), 431, len(fields(1)) - 2},
	}
	for _, c := range cases {
		for _, size := range []int{len(c.in), 1, 1000} {
			t.Run(c.rule, func(t *testing.T) {
				p := handshake.RequestParser{Limits: c.limits}
				used, err := inPieces(p.Parse, c.in, size)
				if got := status(t, err); got != c.status || err != nil && used != c.after {
					t.Errorf("pieces of %d: status %d after %d bytes, want %d after %d: %v", size, got, used, c.status, c.after, err)
				}
			})
		}
	}
}

// inPieces passes all of in to a parser and returns the number of bytes used.
func inPieces[T any](parse func([]byte) (*T, int, error), in string, size int) (used int, err error) {
	for len(in) > 0 {
		piece := in[:min(size, len(in))]
		r, n, err := parse([]byte(piece))
		used += n
		if r != nil || err != nil {
			return used, err
		}
		in = in[len(piece):]
	}
	return used, nil
}

// 6455-4.1-ac, T-G05: the same limits apply to responses. The status line has
// no limit of its own.
func TestResponseHeadLimits(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 101 " + strings.Repeat("x", 10<<20),
		head("HTTP/1.1 101", "X: "+strings.Repeat("x", 10<<20)),
		head("HTTP/1.1 101", slices.Repeat([]string{"X: y"}, 101)...),
	} {
		for _, size := range []int{len(in), 1000} {
			var p handshake.ResponseParser
			used, err := inPieces(p.Parse, in, size)
			var refused *handshake.ResponseError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), "Limits.") || used > 64<<10 {
				t.Errorf("%.20q in pieces of %d: %v after %d bytes", in, size, err, used)
			}
		}
	}
	p := handshake.ResponseParser{Limits: handshake.Limits{Bytes: 20 << 10}}
	check.OKf(t, check.Err(inPieces(p.Parse, head("HTTP/1.1 101 "+strings.Repeat("x", 16<<10)), 1000)), "long reason phrase")
}

// T-D03: the cost of a head in single bytes is linear in its length.
func TestAHeadInSingleBytesIsReadOnce(t *testing.T) {
	in := head(requestLine, "X: "+strings.Repeat("x", 4<<20))
	linear(t, "a head of 4 MiB in single bytes", func() {
		p := handshake.RequestParser{Limits: handshake.Limits{Bytes: len(in)}}
		if used, err := inPieces(p.Parse, in, 1); used != len(in) || err != nil {
			t.Errorf("%d of %d bytes: %v", used, len(in), err)
		}
	})
}

// Limits can change during a head.
func TestALimitLoweredBelowWhatIsRead(t *testing.T) {
	for _, start := range []string{"GET /xxxxxxxxxxx", "GET / HTTP/1.1\r\nHost: h"} {
		var p handshake.RequestParser
		check.Must(t, check.Err2(p.Parse([]byte(start))))
		p.Limits.Bytes = 5
		if _, _, err := p.Parse([]byte("x")); status(t, err) != 431 {
			t.Errorf("after %q: %v", start, err)
		}
	}
}

// 9110-15.2-a: interim responses are returned one at a time; the caller counts
// them.
func TestInterimResponsesBeforeThe101(t *testing.T) {
	b := []byte(head("HTTP/1.1 100 Continue") + head("HTTP/1.1 103 Early Hints", "Link: </a>") +
		head("HTTP/1.1 101 Switching Protocols", responseFields...) + "\x81\x05Hello")
	var p handshake.ResponseParser
	var got []int
	for range 3 {
		r, n, err := p.Parse(b)
		if err != nil || r == nil {
			t.Fatalf("after %d: %v, %v", got, r, err)
		}
		got = append(got, r.Status)
		b = b[n:]
	}
	if !slices.Equal(got, []int{100, 103, 101}) || string(b) != "\x81\x05Hello" {
		t.Errorf("got %d and then %q", got, b)
	}
}

// T-D10, 6455-10.7-a: a valid head with random changes has the same result in
// one piece and in many.
func TestDamagedHeadsAreReadAlikeWholeAndInPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	valid := []byte(head(requestLine, append(requestFields, "Sec-WebSocket-Extensions: a; b=\"c\"", "Sec-WebSocket-Protocol: a, b")...))
	for range 20000 {
		b := bytes.Clone(valid)
		for range 1 + rnd.IntN(3) {
			const interesting = "\r\n\x00 \t:;,=\"\\#/%@\x7f\xff01A"
			b[rnd.IntN(len(b))] = interesting[rnd.IntN(len(interesting))]
		}
		checkSplits(t, b, 1+rnd.IntN(40))
	}
}

// checkSplits parses b as a request and as a response, in one piece and in
// many, and validates the results.
func checkSplits(t *testing.T, b []byte, size int) {
	t.Helper()
	var p1, p2 handshake.RequestParser
	r1, n1, err1 := parseAll(p1.Parse, b, len(b)+1)
	r2, n2, err2 := parseAll(p2.Parse, b, size)
	if !reflect.DeepEqual(r1, r2) || n1 != n2 || !reflect.DeepEqual(err1, err2) {
		t.Fatalf("%q in pieces of %d: %v, %d, %v; whole: %v, %d, %v", b, size, r2, n2, err2, r1, n1, err1)
	}
	if r1 != nil {
		_, err := handshake.ValidateRequest(r1)
		status(t, err)
		status(t, handshake.CheckOrigin(r1, []string{"*.example.com"}))
		_, _, _ = r1.Path(), r1.Query(), r1.Host()
	}
	var p3, p4 handshake.ResponseParser
	r3, n3, err3 := parseAll(p3.Parse, b, len(b)+1)
	r4, n4, err4 := parseAll(p4.Parse, b, size)
	if !reflect.DeepEqual(r3, r4) || n3 != n4 || !reflect.DeepEqual(err3, err4) {
		t.Fatalf("%q in pieces of %d: %v, %d, %v; whole: %v, %d, %v", b, size, r4, n4, err4, r3, n3, err3)
	}
	if r3 != nil {
		handshake.ValidateResponse(r3, &handshake.ClientOffer{Key: sampleKey, Subprotocols: []string{"a"}})
	}
}

func parseAll[T any](parse func([]byte) (*T, int, error), b []byte, size int) (r *T, used int, err error) {
	for r == nil && err == nil && used < len(b) {
		var n int
		r, n, err = parse(b[used:min(used+size, len(b))])
		used += n
	}
	return r, used, err
}
