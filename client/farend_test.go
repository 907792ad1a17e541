package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// farEnd is the server's end of a connection whose client is under test. It
// enforces no rules: it sends the bytes of its script and keeps the received
// frames. It reads without pause, unless openStalled made it.
type farEnd struct {
	t  *testing.T
	nc net.Conn

	out     chan []byte   // for the writer's goroutine
	written chan struct{} // closed when that has ended
	ended   chan struct{} // closed at the end of input

	mu      sync.Mutex // guards the rest
	arrived *sync.Cond
	frames  []wire.Frame // received and not yet returned by next
	err     error        // the cause of the end of input
}

func newFarEnd(t *testing.T, nc net.Conn) *farEnd {
	f := &farEnd{t: t, nc: nc, out: make(chan []byte, 1<<10), written: make(chan struct{}), ended: make(chan struct{})}
	f.arrived = sync.NewCond(&f.mu)
	go f.write()
	t.Cleanup(func() {
		close(f.out)
		nc.Close()
		<-f.written
	})
	return f
}

// openPipe opens a connection over a pipe without buffers, for a bubble of
// testing/synctest.
func openPipe(t *testing.T, cfg *client.Config) (*client.Conn, *farEnd) {
	c, f := openStalled(t, cfg)
	f.read()
	return c, f
}

// piped runs a test in a bubble of testing/synctest, with a connection of
// openPipe.
func piped(t *testing.T, cfg *client.Config, f func(t *testing.T, c *client.Conn, f *farEnd)) {
	synctest.Test(t, func(t *testing.T) {
		c, end := openPipe(t, cfg)
		f(t, c, end)
	})
}

// subtestPiped is piped for a subtest.
func subtestPiped(t *testing.T, name string, cfg *client.Config, f func(t *testing.T, c *client.Conn, f *farEnd)) {
	t.Run(name, func(t *testing.T) { piped(t, cfg, f) })
}

// openStalled is openPipe with a server that does not read.
func openStalled(t *testing.T, cfg *client.Config) (*client.Conn, *farEnd) {
	ours, theirs := net.Pipe()
	return openOver(t, ours, theirs, cfg)
}

// openOver opens a connection between two ends of any transport.
func openOver(t *testing.T, ours, theirs net.Conn, cfg *client.Config) (*client.Conn, *farEnd) {
	t.Helper()
	var config client.Config
	if cfg != nil {
		config = *cfg
	}
	config.DialContext = client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil })
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		acceptHandshake(t, theirs)
	}()
	c, err := client.Dial(t.Context(), "ws://server.example/", &config)
	if err != nil {
		theirs.Close()
		t.Fatal(err)
	}
	<-accepted
	f := newFarEnd(t, theirs)
	t.Cleanup(func() { c.CloseNow() })
	return c, f
}

// openTCP opens a connection over the loopback interface.
func openTCP(t *testing.T, cfg *client.Config) (*client.Conn, *farEnd) {
	ours, theirs := tcpPair(t)
	c, f := openOver(t, ours, theirs, cfg)
	f.read()
	return c, f
}

// tcpPair returns both ends of a TCP connection over the loopback interface.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln := listenTCP(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, _ := ln.Accept()
		accepted <- nc
	}()
	ours, err := net.Dial("tcp", ln.Addr().String())
	check.Must(t, err)
	theirs := <-accepted
	if theirs == nil {
		t.Fatal("not accepted")
	}
	return ours, theirs
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

// send sends bytes, in the background.
func (f *farEnd) send(bytes ...[]byte) {
	for _, b := range bytes {
		f.out <- b
	}
}

// drip sends b again and again, until stop is called.
func (f *farEnd) drip(every time.Duration, b []byte) (stop func()) {
	over := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(every):
				f.send(b)
			}
		}
	})
	return func() {
		close(over)
		dripping.Wait()
	}
}

// hangUp closes this side of the transport behind the queued bytes.
func (f *farEnd) hangUp() { f.out <- nil }

func (f *farEnd) write() {
	defer close(f.written)
	for b := range f.out {
		if b == nil {
			if tcp, ok := f.nc.(*net.TCPConn); ok {
				tcp.CloseWrite()
			} else {
				f.nc.Close()
			}
			continue
		}
		if _, err := f.nc.Write(b); err != nil {
			for range f.out { // the client's side is closed
			}
			return
		}
	}
}

// read begins to read.
func (f *farEnd) read() {
	go f.collect()
	f.t.Cleanup(func() {
		f.nc.Close()
		<-f.ended
	})
}

func (f *farEnd) collect() {
	defer close(f.ended)
	var pending []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := f.nc.Read(buf)
		pending = append(pending, buf[:n]...)
		for {
			frame, used, err := wire.DecodeFrame(pending)
			if err != nil {
				f.t.Errorf("the client sent a bad frame: %v", err)
				f.nc.Close()
				break
			}
			if used == 0 {
				break
			}
			frame.Payload = bytes.Clone(frame.Payload)
			pending = pending[used:]
			f.add(frame)
		}
		if err != nil {
			if len(pending) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			f.end(err)
			return
		}
	}
}

func (f *farEnd) add(frame wire.Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames = append(f.frames, frame)
	f.arrived.Signal()
}

func (f *farEnd) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.arrived.Broadcast()
}

// next waits for the next frame. After the last one it returns the cause of the
// end.
func (f *farEnd) next() (wire.Frame, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.frames) == 0 && f.err == nil {
		f.arrived.Wait()
	}
	if len(f.frames) == 0 {
		return wire.Frame{}, f.err
	}
	frame := f.frames[0]
	f.frames = f.frames[1:]
	return frame, nil
}

// want waits for the next frame, which must be masked, and compares it with the
// arguments.
func (f *farEnd) want(fin byte, op wire.Opcode, payload string) {
	f.t.Helper()
	frame, err := f.next()
	switch {
	case err != nil:
		f.t.Fatalf("no frame, but %v; want %v %q", err, op, payload)
	case frame.Fin != (fin == 1) || frame.Opcode != op || string(frame.Payload) != payload:
		f.t.Fatalf("got the frame FIN=%t %v %.200q, want FIN=%d %v %.200q", frame.Fin, frame.Opcode, frame.Payload, fin, op, payload)
	case !frame.Masked:
		f.t.Fatalf("the %v frame is not masked (6455-5.1-a)", op)
	}
}

// wantEnd waits for the end of the client's stream. It must follow at once and
// be orderly: no reset, no half frame.
func (f *farEnd) wantEnd() {
	f.t.Helper()
	if frame, err := f.next(); err == nil {
		f.t.Fatalf("got the frame %v %.200q, want the end", frame.Opcode, frame.Payload)
	} else if !errors.Is(err, io.EOF) {
		f.t.Fatalf("the connection ended with %v, want EOF", err)
	}
}

// The functions below return frames of a server.

func textFrame(s string) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text}, []byte(s))
}

func binaryFrame(p []byte) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Binary}, p)
}

// firstFragment is the first fragment of a message of type op.
func firstFragment(op wire.Opcode, s string) []byte {
	return wire.AppendFrame(nil, wire.Header{Opcode: op}, []byte(s))
}

func middleFragment(s string) []byte {
	return wire.AppendFrame(nil, wire.Header{Opcode: wire.Continuation}, []byte(s))
}

func lastFragment(s string) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Continuation}, []byte(s))
}

func pingFrame(s string) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Ping}, []byte(s))
}

func pongFrame(p []byte) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Pong}, p)
}

// closeFrame is a Close with code and reason, without either if code is 0.
func closeFrame(code wire.StatusCode, reason string) []byte {
	payload, err := wire.AppendClosePayload(nil, code, reason)
	if err != nil {
		panic(err)
	}
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Close}, payload)
}

// closePayload returns the payload of a Close with code and reason.
func closePayload(code wire.StatusCode, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}
