package servers_test

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// A frame is a frame on the wire, unmasked.
type frame struct {
	fin     bool
	rsv1    bool
	opcode  byte
	payload []byte
}

// rawClient speaks frames and knows nothing else.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader

	Extensions string // as the server agreed to
}

// patience is the time limit of every step of a server.
const patience = 10 * time.Second

// dial opens a connection, by TLS if config is not nil, and makes the opening
// handshake.
func dial(t *testing.T, addr string, config *tls.Config, extensions string) *rawClient {
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
	c.handshake(addr, extensions)
	return c
}

func (c *rawClient) handshake(host, extensions string) {
	c.t.Helper()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	request := "GET / HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\n"
	if extensions != "" {
		request += "Sec-WebSocket-Extensions: " + extensions + "\r\n"
	}
	c.write([]byte(request + "\r\n"))
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	want := base64.StdEncoding.EncodeToString(sum[:])
	if got := response.Header.Get("Sec-WebSocket-Accept"); response.StatusCode != 101 || got != want {
		c.t.Fatalf("handshake: status %d, Sec-WebSocket-Accept %q, want 101 and %q", response.StatusCode, got, want)
	}
	c.Extensions = response.Header.Get("Sec-WebSocket-Extensions")
}

func (c *rawClient) write(p []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatal(err)
	}
}

// send writes the frames, masked, at once.
func (c *rawClient) send(frames ...frame) {
	c.t.Helper()
	var out []byte
	for _, f := range frames {
		out = f.appendMasked(out)
	}
	c.write(out)
}

func (f frame) appendMasked(b []byte) []byte {
	first := f.opcode
	if f.fin {
		first |= 0x80
	}
	if f.rsv1 {
		first |= 0x40
	}
	const masked = 0x80
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, first, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, masked|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, p := range f.payload {
		b = append(b, p^key[i%4])
	}
	return b
}

// frame reads the next frame.
func (c *rawClient) frame() frame {
	c.t.Helper()
	f, err := readFrame(c.in)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	return f
}

func readFrame(r io.Reader) (f frame, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return f, err
	}
	f.fin, f.rsv1, f.opcode = b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x0f
	if b[0]&0x30 != 0 || b[1]&0x80 != 0 {
		return f, fmt.Errorf("RSV2, RSV3 or the mask bit is set: %#02x %#02x", b[0], b[1])
	}
	length := uint64(b[1])
	switch length {
	case 126:
		_, err = io.ReadFull(r, b[:2])
		length = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		_, err = io.ReadFull(r, b[:8])
		length = binary.BigEndian.Uint64(b[:])
	}
	if err != nil || length > 1<<24 {
		return f, fmt.Errorf("payload length %d: %v", length, err)
	}
	f.payload = make([]byte, length)
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

// message reads the next message, of one frame or more.
func (c *rawClient) message() frame {
	c.t.Helper()
	m := c.frame()
	for !m.fin {
		f := c.frame()
		if f.opcode != opContinuation {
			c.t.Fatalf("a frame with opcode %d inside a fragmented message", f.opcode)
		}
		m.fin, m.payload = f.fin, append(m.payload, f.payload...)
	}
	return m
}

// wantEnd reads until the server has closed the transport, and expects no
// further frame.
func (c *rawClient) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("after Close: %d more bytes, %v; want the end of the connection", len(rest), err)
	}
}
