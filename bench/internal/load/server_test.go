package load

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/flatepeer"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/wire"
)

// server is a tiny WebSocket server, right unless a test replaces a part of it.
type server struct {
	accept   func(r *http.Request) string                  // the whole response; nil is the right one
	reply    func(c *serverConn, m message) (goOn bool)    // to the n-th data message, from 0; nil echoes
	onClose  func(c *serverConn, payload []byte) (ok bool) // nil echoes Close and ends TCP
	messages atomic.Int64
	mu       sync.Mutex // guards conns
	conns    map[*serverConn]bool
}

type serverConn struct {
	net.Conn
	server     *server
	in         *bufio.Reader
	unread     []byte // of frames
	write      sync.Mutex
	deflate    bool
	deflater   *flatepeer.Deflater // with context takeover; else nil
	fragmented bool
}

type message struct {
	n       int // number on its connection, from 0
	first   byte
	payload []byte
}

// serve starts the server on a free port until the end of the test and returns
// its address.
func (s *server) serve(t *testing.T, config *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	s.conns = make(map[*serverConn]bool)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.converse(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return addr
}

func (s *server) converse(conn net.Conn) {
	c := &serverConn{Conn: conn, server: s, in: bufio.NewReader(conn)}
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	r, err := http.ReadRequest(c.in)
	if err != nil {
		return
	}
	offer := r.Header.Get("Sec-WebSocket-Extensions")
	c.deflate = strings.Contains(offer, "permessage-deflate")
	if c.deflate && !strings.Contains(offer, "server_no_context_takeover") {
		c.deflater = flatepeer.NewDeflater(flate.BestSpeed, true)
	}
	accept := rightResponse
	if s.accept != nil {
		accept = s.accept
	}
	io.WriteString(c, accept(r))
	for n := 0; ; n++ {
		m, err := c.message()
		if err != nil {
			return
		}
		m.n = n
		if !c.answer(m) {
			return
		}
	}
}

// rightResponse is the server's opening handshake (RFC 6455, Section 4.2.2,
// item 5).
func rightResponse(r *http.Request) string {
	extensions, offer := "", r.Header.Get("Sec-WebSocket-Extensions")
	switch {
	case strings.Contains(offer, "client_max_window_bits"):
		extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n"
	case strings.Contains(offer, "permessage-deflate"):
		extensions = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: upgrade\r\n%sSec-WebSocket-Accept: %s\r\n\r\n",
		extensions, handshake.AcceptKey(r.Header.Get("Sec-WebSocket-Key")))
}

func (c *serverConn) answer(m message) (goOn bool) {
	s := c.server
	if m.first&0x0f == opClose {
		if s.onClose != nil {
			return s.onClose(c, m.payload)
		}
		c.frame(finBit|opClose, m.payload)
		return false
	}
	s.messages.Add(1)
	if s.reply != nil {
		return s.reply(c, m)
	}
	c.frame(m.first, m.payload)
	return true
}

// message reads a message or a control frame and checks it as RFC 6455 requires
// of a server.
func (c *serverConn) message() (m message, err error) {
	for {
		f, err := c.readFrame()
		if err != nil {
			return m, err
		}
		if m.first == 0 {
			m.first = byte(f.RSV) | byte(f.Opcode)
		}
		m.payload = append(m.payload, f.Payload...)
		if f.Fin {
			break
		}
		c.fragmented = true
	}
	m.first |= finBit
	if m.first&rsv1Bit != 0 {
		m.payload, err = new(flatepeer.Inflater).Message(m.payload)
	}
	return m, err
}

func (c *serverConn) readFrame() (wire.Frame, error) {
	for {
		f, n, err := wire.DecodeFrame(c.unread)
		if err == nil && n > 0 && !f.Masked {
			err = fmt.Errorf("not masked: %+v", f.Header)
		}
		if err != nil || n > 0 {
			c.unread = c.unread[n:]
			return f, err
		}
		c.unread = slices.Grow(c.unread, 16<<10)
		n, err = c.in.Read(c.unread[len(c.unread):cap(c.unread)])
		c.unread = c.unread[:len(c.unread)+n]
		if err != nil {
			return f, err
		}
	}
}

// The bits of a frame's first byte, and opcodes as it has them.
const (
	finBit  = 0x80
	rsv1Bit = 0x40

	OpText   = byte(wire.Text)
	OpBinary = byte(wire.Binary)
	opClose  = byte(wire.Close)
	opPing   = byte(wire.Ping)
	opPong   = byte(wire.Pong)
)

// headerOf returns the header with a first byte.
func headerOf(first byte, length int) wire.Header {
	return wire.Header{Fin: first&finBit != 0, RSV: wire.RSV(first & 0x70), Opcode: wire.Opcode(first & 0x0f), Length: int64(length)}
}

func appendHeader(b []byte, first byte, length int) []byte {
	return wire.AppendHeader(b, headerOf(first, length))
}

// frame sends a frame as a server must; a payload for which RSV1 is set is
// compressed.
func (c *serverConn) frame(first byte, payload []byte) {
	c.write.Lock()
	defer c.write.Unlock()
	switch {
	case first&rsv1Bit != 0 && c.deflater != nil:
		payload = c.deflater.Message(payload)
	case first&rsv1Bit != 0:
		payload = compress(payload, maxWindow)
	}
	c.Write(append(appendHeader(nil, first, len(payload)), payload...))
}

// texts returns n different texts of size bytes.
func texts(n, size int) (list [][]byte) {
	for i := range n {
		list = append(list, bytes.Repeat(fmt.Appendf(nil, "text %d of %d. ", i, n), size)[:size])
	}
	return list
}

// broadcast sends a frame to all.
func (s *server) broadcast(first byte, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.frame(first, payload)
	}
}

// selfSigned returns TLS configurations for a server on 127.0.0.1 and its
// client.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	cert, pool, err := testcert.New("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool}
}
