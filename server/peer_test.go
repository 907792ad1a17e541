package server_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// peer is a client that sends the bytes of a test and reads the answers.
type peer struct {
	t  testing.TB
	nc net.Conn
	in []byte // received and not yet consumed
}

// dial connects to the server, without a handshake.
func (r *running) dial(t testing.TB) *peer {
	t.Helper()
	nc, err := r.dialer()
	check.Must(t, err)
	return newPeer(t, nc)
}

// dialTCP connects to a server, without TLS and a handshake.
func dialTCP(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	check.Must(t, err)
	return newPeer(t, nc)
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	limit := patience
	if _, real := nc.(*net.TCPConn); !real {
		limit = 24 * time.Hour // the clock of a bubble does not wait
	}
	check.Must(t, nc.SetReadDeadline(time.Now().Add(limit)))
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc}
}

// open connects to the server and makes the opening handshake.
func (r *running) open(t testing.TB) *peer {
	t.Helper()
	return r.openAs(t, "/")
}

// ask connects to the server and sends the parts of a request.
func (r *running) ask(t testing.TB, parts ...string) *peer {
	t.Helper()
	p := r.dial(t)
	p.send(parts...)
	return p
}

// openAs is open with a target and further lines in the request.
func (r *running) openAs(t testing.TB, target string, lines ...string) *peer {
	t.Helper()
	p := r.ask(t, request(target, lines...))
	p.wantStatus(101)
	return p
}

// run starts Server.Run on a pipe whose opening handshake is complete. returned
// receives the error of Run.
func run(t testing.TB, s *server.Server, up server.Handshake) (p *peer, returned <-chan error) {
	ours, theirs := net.Pipe()
	done := begin(func() error { return s.Run(ours, up) })
	return newPeer(t, theirs), done
}

// The example handshake of RFC 6455, Section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// request returns an opening handshake request with further lines.
func request(target string, lines ...string) string {
	head := []string{
		"GET " + target + " HTTP/1.1",
		"Host: server.example",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: " + sampleKey,
		"Sec-WebSocket-Version: 13",
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n"
}

// peerKey is the masking key of all peers.
const peerKey wire.MaskingKey = 0x3d21fa37

// fragment returns a frame of a client.
func fragment(op wire.Opcode, payload string, final bool) string {
	h := wire.Header{Fin: final, Opcode: op, Masked: true, Key: peerKey}
	return string(wire.AppendFrame(nil, h, []byte(payload)))
}

// frame returns an unfragmented frame of a client.
func frame(op wire.Opcode, payload string) string { return fragment(op, payload, true) }

func text(s string) string { return frame(wire.Text, s) }

// closing returns the Close of a client; code 0: an empty one.
func closing(code wire.StatusCode, reason string) string {
	payload, err := wire.AppendClosePayload(nil, code, reason)
	if err != nil {
		panic(err)
	}
	return frame(wire.Close, string(payload))
}

// declaring returns the header of a frame, without its payload.
func declaring(op wire.Opcode, length int64, final bool) string {
	h := wire.Header{Fin: final, Opcode: op, Masked: true, Key: peerKey, Length: length}
	return string(wire.AppendHeader(nil, h))
}

// send sends all parts in one Write.
func (p *peer) send(parts ...string) {
	p.t.Helper()
	if err := p.trySend(parts...); err != nil {
		p.t.Fatalf("sending: %v", err)
	}
}

func (p *peer) trySend(parts ...string) error {
	_, err := io.WriteString(p.nc, strings.Join(parts, ""))
	return err
}

// meanwhile runs do on another goroutine, which the end of the connection ends.
func (p *peer) meanwhile(do func(p *peer)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(p)
	}()
	p.t.Cleanup(func() {
		p.nc.Close()
		<-done
	})
}

// more reads once.
func (p *peer) more() error {
	buf := readBufs.Get().(*[64 << 10]byte)
	defer readBufs.Put(buf)
	n, err := p.nc.Read(buf[:])
	p.in = append(p.in, buf[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// readBufs holds the buffers of peer.more: an allocation for each read takes
// more time than the read.
var readBufs = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// response reads the head of a response.
func (p *peer) response() *handshake.Response {
	p.t.Helper()
	var parser handshake.ResponseParser
	for {
		response, n, err := parser.Parse(p.in)
		p.in = p.in[n:]
		if err == nil && response == nil {
			err = p.more()
		}
		if err != nil {
			p.t.Fatalf("reading a response: %v", err)
		}
		if response != nil {
			return response
		}
	}
}

// next reads a frame.
func (p *peer) next() (wire.Frame, error) {
	for {
		f, n, err := wire.DecodeFrame(p.in)
		if n > 0 || err != nil {
			p.in = p.in[n:]
			if f.Masked {
				err = errors.New("a masked frame from the server") // 6455-5.1-c
			}
			return f, err
		}
		if err := p.more(); err != nil {
			return wire.Frame{}, err
		}
	}
}

// want reads frames and compares each, in the form of show.
func (p *peer) want(frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("%v, want %s", err, want)
		}
		if got := show(f); got != want {
			p.t.Fatalf("received %s, want %s", got, want)
		}
	}
}

// echo sends a text and reads its echo.
func (p *peer) echo(s string) {
	p.t.Helper()
	p.send(text(s))
	p.want(fmt.Sprintf("text %q", s))
}

// wantStatus reads the head of a response.
func (p *peer) wantStatus(status int) {
	p.t.Helper()
	if r := p.response(); r.Status != status {
		p.t.Fatalf("answered with %+v, want %d", r, status)
	}
}

// wantClose reads the server's Close, sends the answer, and reads the end of the
// connection.
func (p *peer) wantClose(frame, answer string) {
	p.t.Helper()
	p.want(frame)
	p.send(answer)
	p.wantEnd()
}

// wantEnd reads the end of the connection, which must not be a reset.
func (p *peer) wantEnd() {
	p.t.Helper()
	if b, err := p.rest(); len(b) > 0 || err != nil {
		p.t.Fatalf("received % .100x and %v, want the end", b, err)
	}
}

// rest reads until the connection ends.
func (p *peer) rest() ([]byte, error) {
	for {
		if err := p.more(); err != nil {
			b := p.in
			p.in = nil
			if err == io.EOF {
				err = nil
			}
			return b, err
		}
	}
}

// reset aborts the connection: with a TCP reset if the transport has one.
func (p *peer) reset() {
	if tcp, ok := p.nc.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	p.nc.Close()
}

// show formats a frame for comparison: opcode and quoted payload, with a + if
// it is a fragment and not the last; long payloads by their length.
func show(f wire.Frame) string {
	s := f.Opcode.String()
	if f.RSV != 0 {
		s += fmt.Sprintf(" rsv %#x", f.RSV)
	}
	if f.Opcode == wire.Close && len(f.Payload) >= 2 {
		s += fmt.Sprintf(" %d %q", binary.BigEndian.Uint16(f.Payload), f.Payload[2:])
	} else {
		s += " " + brief(f.Payload)
	}
	if !f.Fin {
		s += " +"
	}
	return s
}

func brief(p []byte) string {
	if len(p) > 60 {
		return fmt.Sprintf("%d bytes", len(p))
	}
	return fmt.Sprintf("%q", p)
}
