package client_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// replay is a transport to a server that accepts the opening handshake,
// discards its input and sends the same bytes over and over. It measures the
// client without the kernel.
type replay struct {
	net.Conn
	frames []byte
	next   []byte // the unread bytes of stream
}

func (r *replay) Write(p []byte) (int, error) {
	if r.next == nil {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
		if err != nil {
			return 0, err
		}
		response, err := handshake.AppendResponse(nil, &handshake.ServerAnswer{Key: request.Header.Get("Sec-WebSocket-Key")})
		if err != nil {
			return 0, err
		}
		r.next = response
	}
	return len(p), nil
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.next) == 0 {
		r.next = r.frames
	}
	n := copy(p, r.next)
	r.next = r.next[n:]
	return n, nil
}

func (r *replay) Close() error                     { return nil }
func (r *replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (r *replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (r *replay) SetDeadline(time.Time) error      { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }

func dialReplay(b *testing.B, frames []byte) *client.Conn {
	b.Helper()
	c, err := client.Dial(b.Context(), "ws://localhost/", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return &replay{frames: frames}, nil }),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.CloseNow() })
	return c
}

var benchmarkSizes = []int{125, 1 << 10, 16 << 10}

func BenchmarkSend(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := dialReplay(b, nil)
			p := []byte(strings.Repeat("a", size))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Send(wire.Text, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReceiveInto(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			frames := bytes.Repeat(textFrame(strings.Repeat("a", size)), 4)
			c := dialReplay(b, frames)
			buf := make([]byte, 0, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, p, err := c.ReceiveInto(context.Background(), buf); err != nil || len(p) != size {
					b.Fatal(len(p), err)
				}
			}
		})
	}
}
