//go:build !race

package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// What a browser sends, and what a client of few words does.
var upgradeRequests = map[string]string{
	"browser": "GET /chat?room=1 HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Connection: keep-alive, Upgrade\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n" +
		"Upgrade: websocket\r\n" +
		"Origin: https://server.example.com\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
	"minimal": "GET /chat HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Connection: Upgrade\r\n" +
		"Upgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}

// All that a server does from the first byte of a request to the 101, and to the connection's end.
func BenchmarkUpgrade(b *testing.B) {
	for name, request := range upgradeRequests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := new(Server)
			out := new(nowhere)
			keep := s.newConn(out) // so that the housekeeper stays
			defer keep.lost(nil)
			in := make([]byte, len(request))
			for b.Loop() {
				c := s.newConn(out)
				copy(in, request)
				c.receive(in)
				if !c.isOpen() {
					b.Fatal("refused")
				}
				c.lost(nil)
			}
		})
	}
}

// A message through the whole server, without the system.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			s := &Server{Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
			c := s.newConn(new(nowhere))
			defer c.lost(nil)
			if !c.open(Upgraded{}) {
				b.Fatal("not open")
			}
			// The masking key is zero, with which the work is the same, so that the frame can be received again.
			h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true}
			frame := slices.Clip(wire.AppendFrame(nil, h, []byte(strings.Repeat("a", size))))
			for b.Loop() {
				c.receive(frame)
			}
		})
	}
}
