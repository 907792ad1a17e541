package servers_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// rawClient speaks frames and knows nothing else.
type rawClient struct {
	t      *testing.T
	conn   net.Conn
	in     *bufio.Reader
	unread []byte // of frames

	Extensions string // as the server agreed to
}

// patience is the time limit of every step of a server.
const patience = 10 * time.Second

// dial opens a connection, by TLS if config is not nil, and makes the opening
// handshake.
func dial(t *testing.T, addr string, config *tls.Config, extensions ...handshake.Extension) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if config != nil {
		conn = tls.Client(conn, config)
	}
	conn.SetDeadline(time.Now().Add(patience))
	c := &rawClient{t: t, conn: conn, in: bufio.NewReader(conn)}
	offer := &handshake.ClientOffer{Host: addr, Target: "/", Key: handshake.NewKey(), Extensions: extensions}
	request, err := handshake.AppendRequest(nil, offer)
	if err != nil {
		t.Fatal(err)
	}
	c.write(request)
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := response.Header.Get("Sec-WebSocket-Accept"), handshake.AcceptKey(offer.Key)
	if response.StatusCode != 101 || got != want {
		t.Fatalf("handshake: status %d, Sec-WebSocket-Accept %q, want 101 and %q", response.StatusCode, got, want)
	}
	c.Extensions = response.Header.Get("Sec-WebSocket-Extensions")
	return c
}

func (c *rawClient) write(p []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatal(err)
	}
}

// text, binary and ping return a frame with a whole message or a Ping.
func text(p string) wire.Frame   { return full(wire.Text, p) }
func binary(p string) wire.Frame { return full(wire.Binary, p) }
func ping(p string) wire.Frame   { return full(wire.Ping, p) }

func full(opcode wire.Opcode, p string) wire.Frame {
	return wire.Frame{Header: wire.Header{Fin: true, Opcode: opcode}, Payload: []byte(p)}
}

// normalClose is a Close with the code 1000.
var normalClose = full(wire.Close, "\x03\xe8")

// send writes the frames, masked, at once.
func (c *rawClient) send(frames ...wire.Frame) {
	c.t.Helper()
	c.write(masked(frames...))
}

func masked(frames ...wire.Frame) (b []byte) {
	for _, f := range frames {
		f.Masked, f.Key = true, wire.NewMaskingKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
		b = wire.AppendFrame(b, f.Header, f.Payload)
	}
	return b
}

// frame reads the next frame.
func (c *rawClient) frame() wire.Frame {
	c.t.Helper()
	f, err := c.readFrame()
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	return f
}

func (c *rawClient) readFrame() (wire.Frame, error) {
	for buf := make([]byte, 64<<10); ; {
		f, n, err := wire.DecodeFrame(c.unread)
		if err == nil && n > 0 && (f.Masked || f.RSV&^wire.RSV1 != 0) {
			err = fmt.Errorf("RSV2, RSV3 or the mask bit is set: %+v", f.Header)
		}
		if err != nil || n > 0 {
			c.unread = c.unread[n:]
			return f, err
		}
		n, err = c.in.Read(buf)
		c.unread = append(c.unread, buf[:n]...)
		if n == 0 && err != nil {
			return f, err
		}
	}
}

// message reads the next message, of one frame or more.
func (c *rawClient) message() wire.Frame {
	c.t.Helper()
	m := c.frame()
	for !m.Fin {
		f := c.frame()
		if f.Opcode != wire.Continuation {
			c.t.Fatalf("a %v frame inside a fragmented message", f.Opcode)
		}
		m.Fin, m.Payload = f.Fin, append(m.Payload, f.Payload...)
	}
	return m
}

// wantEnd reads until the server has closed the transport, and expects no
// further frame.
func (c *rawClient) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest)+len(c.unread) > 0 {
		c.t.Fatalf("after Close: %d more bytes, %v; want the end of the connection", len(rest)+len(c.unread), err)
	}
}
