package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// noDeadlines is a net.Conn whose deadlines do not work, like the channels of
// SSH.
type noDeadlines struct{ net.Conn }

var errNoDeadlines = errors.New("deadline not supported")

func (noDeadlines) SetDeadline(time.Time) error      { return errNoDeadlines }
func (noDeadlines) SetReadDeadline(time.Time) error  { return errNoDeadlines }
func (noDeadlines) SetWriteDeadline(time.Time) error { return errNoDeadlines }

// On a net.Conn whose deadlines do not work, Dial, Receive and Send used to
// ignore contexts and timeouts (gorilla/websocket#911, golang/go#67152,
// golang/go#65930).
func TestCallsEndWithoutDeadlines(t *testing.T) {
	cfg := func(nc net.Conn) *client.Config {
		return &client.Config{
			HandshakeTimeout: 3 * time.Second,
			WriteTimeout:     4 * time.Second,
			CloseTimeout:     5 * time.Second,
			DialContext:      client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return noDeadlines{nc}, nil }),
		}
	}
	check.Bubble(t, "Dial", func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go readRequest(theirs)
		start := time.Now()
		_, err := client.Dial(t.Context(), "ws://server.example/", cfg(ours))
		if took := time.Since(start); took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial returned after %v: %v", took, err)
		}
	})
	check.Bubble(t, "other calls", func(t *testing.T) {
		ours, theirs := net.Pipe()
		c, f := openOver(t, noDeadlines{ours}, theirs, cfg(ours))
		for range 3 {
			ctx := check.Within(t, time.Second)
			start := time.Now()
			if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("Receive returned after %v: %v", time.Since(start), err)
			}
		}
		f.send(textFrame("Hello"))
		receiveWant(t, c, wire.Text, "Hello")
		start := time.Now()
		err := c.SendText("nobody reads this")
		var late *client.TimeoutError
		if !errors.As(err, &late) || time.Since(start) != 4*time.Second {
			t.Errorf("Send returned after %v: %v", time.Since(start), err)
		}
	})
	check.Bubble(t, "Close", func(t *testing.T) {
		ours, theirs := net.Pipe()
		config := cfg(ours)
		c, f := openOver(t, noDeadlines{ours}, theirs, config)
		f.read()
		start := time.Now()
		if err := c.Close(wire.NormalClosure, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultCloseTimeout {
			t.Errorf("Close returned after %v: %v", time.Since(start), err)
		}
	})
}

// A server that did not read blocked a Send, which held the engine's lock.
// Ping, and Receive if a Close arrived, waited for that lock and outlived their
// contexts.
func TestContextsEndCallsBehindAStalledSend(t *testing.T) {
	for name, transport := range map[string]func(t *testing.T) (ours, theirs net.Conn){
		"TCP":               func(t *testing.T) (ours, theirs net.Conn) { return smallTCPPair(t) },
		"pipe":              func(*testing.T) (ours, theirs net.Conn) { return net.Pipe() },
		"without deadlines": func(*testing.T) (ours, theirs net.Conn) { a, b := net.Pipe(); return noDeadlines{a}, b },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := transport(t)
			c, f := openOver(t, ours, theirs, &client.Config{WriteTimeout: -1})
			sent := make(chan error, 1)
			const size, begun = 2 << 20, 10 // bytes
			go func() { sent <- c.SendBinary(make([]byte, size)) }()
			check.Must(t, check.Err(io.ReadFull(theirs, make([]byte, begun))))
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				check.Is(t, check.Err(c.Ping(ctx)), context.DeadlineExceeded, "Ping")
				check.Is(t, check.Err(c.Receive(ctx)), context.DeadlineExceeded, "Receive")
				cancel()
			}
			if c.State() != client.Open {
				t.Errorf("the connection is %v: %v", c.State(), c.Err())
			}
			f.send(closeFrame(4001, "bye"))
			var closed *client.CloseError
			if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4001 {
				t.Errorf("Receive: %v", err)
			}
			// Now the server reads the rest of the message, and the answer
			// behind it.
			rest := make([]byte, wire.MaxHeaderSize+size-begun+len("\x88\x82key.go"))
			check.Must(t, check.Err(io.ReadFull(theirs, rest)))
			answer, _, err := wire.DecodeFrame(rest[len(rest)-len("\x88\x82key.go"):])
			if err != nil || answer.Opcode != wire.Close || string(answer.Payload) != "\x0f\xa1" {
				t.Errorf("the last frame is %+v, %v", answer, err)
			}
			check.OKf(t, <-sent, "Send")
			if err := c.SendText("x"); !errors.As(err, &closed) {
				t.Errorf("Send after the Close: %v", err)
			}
			theirs.Close()
		})
	}
}

// smallTCPPair returns both ends of a TCP connection that holds little.
func smallTCPPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := sockbuf.Listen()
	check.Must(t, err)
	defer ln.Close()
	if ours, err = sockbuf.Dial(ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// A large message over a slow link takes longer than WriteTimeout. It is sent
// as long as the server reads a little again and again, and aborted otherwise
// (gorilla/websocket#885, heroiclabs/nakama#892).
func TestSlowUploadIsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c, f := openOver(t, ours, theirs, &client.Config{WriteTimeout: time.Second})
		const size = 256 << 10
		read := make(chan int, 1)
		go func() {
			n := 0
			for buf := make([]byte, 4<<10); ; time.Sleep(80 * time.Millisecond) {
				m, err := f.nc.Read(buf)
				if n += m; err != nil {
					read <- n
					return
				}
			}
		}()
		start := time.Now()
		if err := c.SendBinary(make([]byte, size)); err != nil || time.Since(start) < 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.CloseNow()
		if n := <-read; n < size {
			t.Errorf("the server got %d bytes", n)
		}
	})
}

// A panic or runtime.Goexit in a callback of the program used to leave the
// connection behind, or to end the process if it was on a goroutine of the
// library. Dial closes the connection and returns it as an error.
func TestDialWithACallbackThatPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"panic":  func() { panic("on purpose") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			wantPanic := func(err error) {
				t.Helper()
				check.As[*client.PanicError](t, err, "Dial returned")
				checkErrorText(t, err)
			}
			for _, proxy := range []string{"", "http://proxy.example"} {
				_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
					Proxy:       proxyAt(proxy),
					DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { f(); return nil, nil }),
				})
				wantPanic(err)
			}
			hungUp := make(chan error, 1)
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
				Trace: client.NewTrace(func(s client.Step) {
					if s.Kind == client.StepResponse {
						f()
					}
				}),
				DialContext: scripted(t, func(nc net.Conn) {
					readRequest(nc)
					io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
					_, err := nc.Read(make([]byte, 1))
					hungUp <- err
				}),
			})
			wantPanic(err)
			if err := <-hungUp; err != io.EOF {
				t.Errorf("the server got %v", err)
			}
		})
	}
	_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, nil }),
	})
	if err == nil || !strings.Contains(err.Error(), "no connection") {
		t.Errorf("Dial returned %v", err)
	}
}

// moody is a net.Conn that panics or calls runtime.Goexit on request.
type moody struct {
	net.Conn
	fail func() // nil: not yet
}

func (m *moody) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if m.fail != nil {
		m.fail()
	}
	return n, err
}

// The same in the program's net.Conn ends the connection.
func TestConnThatPanicsLosesTheConnection(t *testing.T) {
	for name, f := range map[string]func(){
		"panic":  func() { panic("on purpose") },
		"Goexit": runtime.Goexit,
	} {
		check.Bubble(t, name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			nc := &moody{Conn: ours}
			c, f2 := openOver(t, nc, theirs, nil)
			nc.fail = f
			f2.send(textFrame("x"))
			_, err := c.Receive(t.Context())
			var lost *client.LostError
			var p *client.PanicError
			if !errors.As(err, &lost) || !errors.As(err, &p) || c.State() != client.Closed {
				t.Errorf("Receive returned %v", err)
			}
			if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the server got %v", err)
			}
		})
	}
}

// A DialContext that ignores its context does not keep Dial, and its connection
// is closed when it is made at last.
func TestDialContextThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		start := time.Now()
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			HandshakeTimeout: time.Second,
			DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
				time.Sleep(time.Hour)
				return ours, nil
			}),
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Dial returned after %v: %v", time.Since(start), err)
		}
		if _, err := theirs.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != time.Hour {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// The answer to the server's Close is written before the call that receives it
// returns: a later CloseNow, or the end of the program, does not lose it.
func TestCloseIsAnsweredBeforeReceiveReturns(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"with deadlines":    func(nc net.Conn) net.Conn { return nc },
		"without deadlines": func(nc net.Conn) net.Conn { return noDeadlines{nc} },
	} {
		check.Bubble(t, name, func(t *testing.T) { // the wait for the answer has a bound
			for range 50 {
				ours, theirs := wstest.Pipe(wstest.Plan{})
				c, f := openOver(t, wrap(ours), theirs, nil)
				f.send(closeFrame(4001, "bye"))
				var closed *client.CloseError
				if _, err := c.Receive(t.Context()); !errors.As(err, &closed) {
					t.Fatal(err)
				}
				c.CloseNow()
				if b, err := io.ReadAll(theirs); len(b) != len("\x88\x82key.go") || b[0] != 0x88 {
					t.Fatalf("the server read %x and %v", b, err)
				}
				theirs.Close()
			}
		})
	}
}
