package handshake_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// browserRequest has the fields of a browser's request.
var browserRequest = []byte(head("GET /chat?room=1 HTTP/1.1",
	"Host: server.example.com",
	"Connection: keep-alive, Upgrade",
	"Pragma: no-cache",
	"Cache-Control: no-cache",
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Upgrade: websocket",
	"Origin: https://server.example.com",
	"Sec-WebSocket-Version: 13",
	"Accept-Encoding: gzip, deflate, br, zstd",
	"Accept-Language: en-GB,en;q=0.9",
	"Cookie: session=0123456789abcdef",
	"Sec-WebSocket-Key: "+sampleKey,
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
))

// accept processes a request like a server.
func accept(t testing.TB, in, out []byte) []byte {
	var p handshake.RequestParser
	r, n, err := p.Parse(in)
	if err != nil || r == nil || n != len(in) {
		t.Fatal(r, n, err)
	}
	u, err := handshake.ValidateRequest(r)
	check.Must(t, err)
	check.Must(t, handshake.CheckOrigin(r, nil))
	a := handshake.ServerAnswer{Key: u.Key, Subprotocol: handshake.SelectSubprotocol(u.Subprotocols, nil)}
	if out, err = handshake.AppendResponse(out, &a); err != nil {
		t.Fatal(err)
	}
	return out
}

// The text of the head, the request, its fields, and the extensions with their
// parameters.
func TestAllocationsPerAcceptedRequest(t *testing.T) {
	out := make([]byte, 0, 1024)
	minimal := []byte(head(requestLine, requestFields...))
	for _, c := range []struct {
		what string
		in   []byte
		max  float64
	}{{"browser", browserRequest, 4}, {"minimal", minimal, 3}} {
		if got := testing.AllocsPerRun(100, func() { accept(t, c.in, out[:0]) }); got > c.max {
			t.Errorf("%s: %v allocations, want %v", c.what, got, c.max)
		}
	}
}

func TestRequestsAreAppendedWithoutAllocation(t *testing.T) {
	out := make([]byte, 0, 1024)
	o := sampleOffer()
	o.Extensions = extensions{extension("permessage-deflate", flag("client_max_window_bits"))}
	if got := testing.AllocsPerRun(100, func() { handshake.AppendRequest(out[:0], o) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkAccept(b *testing.B) {
	out := make([]byte, 0, 1024)
	b.SetBytes(int64(len(browserRequest)))
	b.ReportAllocs()
	for b.Loop() {
		accept(b, browserRequest, out[:0])
	}
}

func BenchmarkParseRequest(b *testing.B) {
	b.SetBytes(int64(len(browserRequest)))
	b.ReportAllocs()
	var p handshake.RequestParser
	for b.Loop() {
		p.Parse(browserRequest)
	}
}

// TestAcceptKeyCostsOneAllocation, the string.
func TestAcceptKeyCostsOneAllocation(t *testing.T) {
	var accept string
	got := testing.AllocsPerRun(100, func() { accept = handshake.AcceptKey(sampleKey) })
	if got != 1 || accept != sampleAccept {
		t.Errorf("%v allocations for %q, want 1 for %q", got, accept, sampleAccept)
	}
}

// TestOffersOfBrowsersCostOneAllocation checks that the list and up to two
// parameters share one allocation.
func TestOffersOfBrowsersCostOneAllocation(t *testing.T) {
	for _, offer := range []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover",
	} {
		check.Equal(t, testing.AllocsPerRun(100, func() { handshake.ParseExtensions(nil, offer) }), 1, "%s", offer)
	}
}

// TestMalformedListIsLeftAtItsFirstFault checks that the rest of the list costs
// nothing, at any length (T-D09).
func TestMalformedListIsLeftAtItsFirstFault(t *testing.T) {
	for _, begin := range []string{"a", "a;b=1", "a;b=", `a;b="`} {
		for _, more := range []string{";", ";=", `;"`, ",", "="} {
			in := begin + " ;" + strings.Repeat(more, 1000)
			short := testing.AllocsPerRun(10, func() { handshake.ParseExtensions(nil, in[:len(begin)+8]) })
			long := testing.AllocsPerRun(10, func() { handshake.ParseExtensions(nil, in) })
			if long > short+2 {
				t.Errorf("%.20q, of 1000: %v allocations, of few: %v", in, long, short)
			}
		}
	}
}
