package endpoint_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

var benchmarkSizes = []int{125, 1 << 10, 16 << 10}

// benchmark runs f for both roles and all sizes.
func benchmark(b *testing.B, f func(b *testing.B, role endpoint.Role, size int)) {
	for _, role := range []endpoint.Role{endpoint.Client, endpoint.Server} {
		name := map[endpoint.Role]string{endpoint.Client: "client", endpoint.Server: "server"}[role]
		for _, size := range benchmarkSizes {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, role, size)
			})
		}
	}
}

// A whole text: unmasked by a server, checked by both. The masking key is zero,
// with which the work is the same, so that the frame can be received again.
func BenchmarkReceive(b *testing.B) {
	benchmark(b, func(b *testing.B, role endpoint.Role, size int) {
		h := wire.Header{Fin: true, Opcode: wire.Text, Masked: role == endpoint.Server}
		in := wire.AppendFrame(nil, h, []byte(strings.Repeat("a", size)))
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		for b.Loop() {
			if ev, _ := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindMessage {
				b.Fatalf("got %+v", ev)
			}
		}
	})
}

// A message in four fragments.
func BenchmarkReceiveFragments(b *testing.B) {
	benchmark(b, func(b *testing.B, role endpoint.Role, size int) {
		var in []byte
		for i := range 4 {
			h := wire.Header{Fin: i == 3, Opcode: wire.Continuation, Masked: role == endpoint.Server}
			if i == 0 {
				h.Opcode = wire.Binary
			}
			in = wire.AppendFrame(in, h, make([]byte, size/4))
		}
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		for b.Loop() {
			if ev, _ := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindMessage {
				b.Fatalf("got %+v", ev)
			}
		}
	})
}

func BenchmarkSend(b *testing.B) {
	benchmark(b, func(b *testing.B, role endpoint.Role, size int) {
		payload := make([]byte, size)
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		for b.Loop() {
			if err := e.Send(wire.Binary, payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPing(b *testing.B) {
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
	in := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Ping, Masked: true}, make([]byte, 8))
	b.ReportAllocs()
	for b.Loop() {
		if ev, _ := e.Receive(time.Time{}, in); ev.Kind != endpoint.KindPing {
			b.Fatalf("got %+v", ev)
		}
	}
}
