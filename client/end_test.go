package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// ends are the ways in which a connection ends, with the error of each.
var ends = map[string]struct {
	end  func(c *client.Conn, f *farEnd)
	want func(err error) bool
	text string
}{
	"6455-7.1.5-a: the server closes with code and reason": {
		func(_ *client.Conn, f *farEnd) { f.send(closeFrame(4000, "enough")) },
		isCloseError(4000, "enough"),
		`websocket: closed by the peer with 4000: "enough"`,
	},
	"6455-7.1.5-a: with an empty Close": {
		func(_ *client.Conn, f *farEnd) { f.send(closeFrame(0, "")) },
		isCloseError(wire.NoStatusReceived, ""),
		`websocket: closed by the peer with 1005 (no status received)`,
	},
	"IANA-close-a: with a registered code": {
		func(_ *client.Conn, f *farEnd) { f.send(closeFrame(wire.TryAgainLater, "")) },
		isCloseError(wire.TryAgainLater, ""),
		`websocket: closed by the peer with 1013 (try again later)`,
	},
	"T-H06: with a reason that a terminal would obey": {
		func(_ *client.Conn, f *farEnd) { f.send(closeFrame(1000, "\x1b[2J\r\nadmin logged in\u0085")) },
		isCloseError(1000, "\x1b[2J\r\nadmin logged in\u0085"),
		`websocket: closed by the peer with 1000 (normal closure): "\x1b[2J\r\nadmin logged in\u0085"`,
	},
	"6455-7.1.5-a: our code is not the reported one": {
		func(c *client.Conn, f *farEnd) {
			f.send(closeFrame(1000, "bye"))
			f.hangUp()
			c.Close(4000, "mine")
		},
		isCloseError(1000, "bye"),
		`websocket: closed by the peer with 1000 (normal closure): "bye"`,
	},
	"6455-7.1.7-a: the server breaks a rule": {
		func(_ *client.Conn, f *farEnd) { f.send([]byte{0x83, 0}) },
		isFailError(wire.ProtocolError),
		"websocket: connection failed with 1002 (protocol error): reserved opcode",
	},
	"6455-5.1-d: a masked frame": {
		func(_ *client.Conn, f *farEnd) {
			f.send([]byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58})
		},
		isFailError(wire.ProtocolError),
		"websocket: connection failed with 1002 (protocol error): frame from a server is masked",
	},
	"6455-9.1-c, T-B05: a compressed frame, though nothing was agreed": {
		func(_ *client.Conn, f *farEnd) { f.send([]byte{0xc1, 7, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 7, 0}) },
		isFailError(wire.ProtocolError),
		"websocket: connection failed with 1002 (protocol error): reserved bit set without an extension",
	},
	"6455-8.1-a: a text that is not UTF-8": {
		func(_ *client.Conn, f *farEnd) { f.send(textFrame("\xff")) },
		isFailError(wire.InvalidFramePayloadData),
		"websocket: connection failed with 1007 (invalid frame payload data): ",
	},
	"6455-7.1.4-a: the transport ends": {
		func(_ *client.Conn, f *farEnd) { f.hangUp() },
		isLostError(io.EOF),
		"websocket: connection lost without a closing handshake: EOF",
	},
	"6455-5.2-m: the transport ends in a frame": {
		func(_ *client.Conn, f *farEnd) {
			f.send(textFrame("Hello")[:4])
			f.hangUp()
		},
		isLostError(io.ErrUnexpectedEOF),
		"websocket: connection lost without a closing handshake: unexpected EOF",
	},
	"CloseNow": {
		func(c *client.Conn, _ *farEnd) { c.CloseNow() },
		func(err error) bool { return errors.Is(err, client.ErrClosed) },
		"websocket: connection is closed",
	},
	"a Close that is not answered": {
		func(c *client.Conn, _ *farEnd) {
			c.Close(1000, "")
		},
		func(err error) bool {
			return isLostError(context.DeadlineExceeded)(err) && errors.Is(err, net.ErrClosed)
		},
		"websocket: connection lost without a closing handshake: no Close of the server for 5s (CloseTimeout)",
	},
}

func isCloseError(code wire.StatusCode, reason string) func(error) bool {
	return func(err error) bool {
		var closed *client.CloseError
		return errors.As(err, &closed) && closed.Code == code && closed.Reason == reason
	}
}

func isFailError(code wire.StatusCode) func(error) bool {
	return func(err error) bool {
		var failed *client.FailError
		var rule *wire.Error
		return errors.As(err, &failed) && failed.Code == code && errors.As(err, &rule) && rule.Code == code
	}
}

func isLostError(cause error) func(error) bool {
	return func(err error) bool {
		var lost *client.LostError
		return errors.As(err, &lost) && errors.Is(err, cause)
	}
}

// 6455-6.1-a, 6455-7.1.6-a: after the connection has ended, every call returns
// the cause, every time. The error also matches net.ErrClosed.
func TestEveryCallReturnsWhyConnectionEnded(t *testing.T) {
	for name, tt := range ends {
		subtestPiped(t, name, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
			w := nextWriter(t, c, wire.Text)
			received := make(chan error)
			go func() {
				_, err := c.Receive(context.Background())
				received <- err
			}()
			synctest.Wait()
			tt.end(c, f)
			errs := map[string]error{"the Receive that waited": <-received}
			for i := range 2 {
				_, receive := c.Receive(t.Context())
				_, _, into := c.ReceiveInto(t.Context(), nil)
				_, _, reader := c.NextReader(t.Context())
				_, ping := c.Ping(t.Context())
				var v any
				for name, err := range map[string]error{
					"Receive": receive, "ReceiveInto": into, "NextReader": reader, "Ping": ping,
					"ReceiveJSON": c.ReceiveJSON(t.Context(), &v),
					"Send":        c.Send(wire.Binary, nil),
					"SendText":    c.SendText("x"),
					"SendJSON":    c.SendJSON(1),
					"SendPong":    c.SendPong(nil),
					"Close":       c.Close(1000, ""),
					"Err":         c.Err(),
				} {
					errs[fmt.Sprint(name, " ", i)] = err
				}
			}
			errs["MessageWriter.Close"] = w.Close()
			for name, err := range errs {
				if err == nil || !tt.want(err) || !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if c.State() != client.Closed {
				t.Errorf("the connection is %v", c.State())
			}
			if !strings.HasPrefix(c.Err().Error(), tt.text) {
				t.Errorf("the text is %q, want %q", c.Err(), tt.text)
			}
			checkErrorText(t, c.Err())
		})
	}
}

// 6455-7.1.7-a,b, 6455-7.1.1-a: a server that breaks a rule reads a Close with
// the code, and then an orderly end of TCP. Later bytes of the server are not
// received.
func TestFailureSendsCloseAndEndsOrderly(t *testing.T) {
	c, f := openTCP(t, nil)
	f.send(append(append([]byte{0x83, 0}, textFrame("behind it")...), closeFrame(1000, "")...))
	for range 2 {
		if m, err := c.Receive(t.Context()); !isFailError(wire.ProtocolError)(err) {
			t.Fatalf("received %v %q, %v", m.Opcode, m.Payload, err)
		}
	}
	frame, err := f.next()
	if err != nil || frame.Opcode != wire.Close || !strings.HasPrefix(string(frame.Payload), "\x03\xea") {
		t.Errorf("the server was sent %v %q, %v", frame.Opcode, frame.Payload, err)
	}
	f.wantEnd()
}

// The client does not wait for the Close of a server that has broken a rule.
func TestFailureIsNotWaitedFor(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		f.send([]byte{0x83, 0})
		start := time.Now()
		if _, err := c.Receive(t.Context()); !isFailError(wire.ProtocolError)(err) || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		f.next()
		f.wantEnd()
		if took := time.Since(start); took > time.Second {
			t.Errorf("the client closed after %v", took)
		}
	})
}

// 6455-7.2.1-a: after a reset every blocked call returns.
func TestReset(t *testing.T) {
	ours, theirs := tcpPair(t)
	c, f := openOver(t, ours, theirs, &client.Config{WriteTimeout: -1})
	var all sync.WaitGroup
	for name, call := range map[string]func() error{
		"Receive": func() error { _, err := c.Receive(context.Background()); return err },
		"Send":    func() error { return c.SendBinary(make([]byte, 64<<20)) },
		"Ping":    func() error { _, err := c.Ping(context.Background()); return err },
		"Pong":    func() error { return c.SendPong(make([]byte, 10)) },
	} {
		all.Go(func() {
			err := call()
			if name == "Pong" && err == nil {
				return // sent before the large message
			}
			var lost *client.LostError
			if !errors.As(err, &lost) || !errors.Is(err, net.ErrClosed) || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("%s: %v", name, err)
			}
			checkErrorText(t, err)
		})
	}
	check.Must(t, check.Err(io.ReadFull(f.nc, make([]byte, 1<<20))))
	theirs.(*net.TCPConn).SetLinger(0)
	theirs.Close()
	all.Wait()
	if c.State() != client.Closed {
		t.Errorf("the connection is %v", c.State())
	}
}

// T-H02, T-G10: all calls run concurrently while the connection ends from
// either side. Every call returns a message or the cause, and no call reports a
// concurrent receive without one.
func TestEverythingAtOnce(t *testing.T) {
	for i := range 300 {
		c, f := openTCP(t, nil)
		f.send(textFrame("one"), firstFragment(wire.Text, "tw"), pingFrame("ping"), lastFragment("o"))
		begin := make(chan struct{})
		var all sync.WaitGroup
		start := func(name string, call func() error) {
			all.Go(func() {
				<-begin
				var err error
				for range 3 {
					err = call()
				}
				if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		ctx, cancel := context.WithCancel(context.Background())
		start("Receive", func() error {
			for {
				short, cancel := context.WithTimeout(context.Background(), time.Duration(i)*100)
				_, err := c.Receive(short)
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					continue
				}
				if err != nil {
					return err
				}
			}
		})
		start("Send", func() error { return c.SendText("x") })
		start("NextWriter", func() error {
			w, err := c.NextWriter(wire.Binary)
			if err == nil {
				w.Write([]byte("x"))
				w.Flush()
				err = w.Close()
			}
			return err
		})
		start("Ping", func() error { _, err := c.Ping(ctx); return err })
		start("Pong", func() error { return c.SendPong(nil) })
		switch i % 4 {
		case 0:
			start("Close", func() error { return c.Close(1000, "") })
			f.send(closeFrame(1000, ""))
			f.hangUp()
		case 1:
			start("CloseNow", c.CloseNow)
		case 2:
			start("both", func() error { c.CloseNow(); return c.Close(1000, "") })
			f.hangUp()
		case 3:
			f.send([]byte{0x83, 0})
			f.hangUp()
		}
		close(begin)
		all.Wait()
		cancel()
		if c.State() != client.Closed {
			t.Errorf("the connection is %v", c.State())
		}
		c.CloseNow()
		f.nc.Close()
	}
}
