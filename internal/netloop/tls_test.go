//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
)

// serveTLS serves ln over TLS until the test ends. conn returns a connection.
func serveTLS(t *testing.T, cfg Config, secure Secure, conn func() *testConn) *testLoop {
	t.Helper()
	cfg.MaxBlocked = 10
	l := newTestLoop(t, cfg, nil, nil)
	ln := listen(t)
	l.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- l.ServeTLS(ln, secure, l.open(conn), Recovered) }()
	t.Cleanup(func() {
		ln.Close()
		<-served
	})
	return l
}

// cryptoTLS makes connections of crypto/tls.
func cryptoTLS(cfg *tls.Config) Secure {
	if cfg == nil {
		cfg = &tls.Config{Certificates: []tls.Certificate{testcert.Any()}}
	}
	return func(nc net.Conn) TLS { return tls.Server(nc, cfg) }
}

// client returns the client's side of a connection, before the TLS handshake.
func (l *testLoop) client(t *testing.T) (*tls.Conn, *net.TCPConn, *testConn) {
	t.Helper()
	nc, c := l.connect(t)
	return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), nc, c
}

// lineTLS is a TLS that is easy to predict. The ciphertext is the plaintext, and
// each Read returns a line, without its end. Before a line that begins with
// "update", it writes an answer of answerSize bytes.
type lineTLS struct {
	net.Conn
	got []byte
}

const answerSize = 1 << 10

func (c *lineTLS) CloseWrite() error { return nil }

// Handshake reads a line, and writes it.
func (c *lineTLS) Handshake() error {
	line, err := c.line()
	if err == nil {
		_, err = c.Conn.Write(append(line, '\n'))
	}
	return err
}

func (c *lineTLS) Read(p []byte) (int, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	if bytes.HasPrefix(line, []byte("update")) {
		if _, err := c.Conn.Write(make([]byte, answerSize)); err != nil {
			return 0, err
		}
	}
	return copy(p, line), nil
}

// line reads a line.
func (c *lineTLS) line() ([]byte, error) {
	for {
		if line, rest, found := bytes.Cut(c.got, []byte("\n")); found {
			c.got = rest
			return slices.Clone(line), nil
		}
		buf := make([]byte, 100)
		n, err := c.Conn.Read(buf)
		if err != nil {
			return nil, err
		}
		c.got = append(c.got, buf[:n]...)
	}
}

func lines(nc net.Conn) TLS { return &lineTLS{Conn: nc} }

// blockedConn is a testConn with a sender that waits for space.
type blockedConn struct{ *testConn }

func (blockedConn) WriterBlocked() bool { return true }

// Records that TLS writes inside of Read count as replies: from a client that
// does not read them, the loop reads no more than a turn over the limit, also
// while a sender waits. The output used to grow without bound.
func TestAnswersOfTLSAreBoundedByEpoll(t *testing.T) {
	const limit, updates = 64 << 10, 4000
	for _, blocked := range []bool{false, true} {
		var received atomic.Int32
		l := newTestLoop(t, Config{MaxBlocked: 10, Limit: WriteLimit{PauseRead: limit}}, nil, nil)
		ln := listen(t)
		l.addr = ln.Addr().String()
		served := make(chan error, 1)
		open := l.open(func() *testConn {
			return &testConn{received: func(_ *testConn, b []byte) ([]byte, bool) {
				received.Add(int32(bytes.Count(b, []byte("update"))))
				return nil, true
			}}
		})
		go func() {
			served <- l.ServeTLS(ln, lines, func(polled bool) (Conn, *PolledSocket) {
				c, s := open(polled)
				if blocked {
					c = blockedConn{c.(*testConn)}
				}
				return c, s
			}, Recovered)
		}()
		nc, c := l.connect(t)
		sent := make(chan error, 1)
		go func() {
			_, err := nc.Write([]byte("hello\n" + strings.Repeat("update\n", updates)))
			sent <- err
		}()
		for !c.socket.ReadPaused() {
			time.Sleep(time.Millisecond)
		}
		most := int64(limit + 2*maxTurnAnswers*answerSize)
		if n := l.buffered.Peak(); n > most {
			t.Errorf("blocked %v: %d bytes were buffered, want at most %d", blocked, n, most)
		}
		if n := received.Load(); n >= updates {
			t.Errorf("blocked %v: all %d updates were read", blocked, n)
		}
		check.OK(t, check.Err(io.CopyN(io.Discard, nc, int64(len("hello\n")+updates*answerSize))))
		check.OK(t, <-sent)
		for received.Load() < updates {
			time.Sleep(time.Millisecond)
		}
		if n := l.buffered.Peak(); n > most {
			t.Errorf("blocked %v: %d bytes were buffered in the end, want at most %d", blocked, n, most)
		}
		nc.Close()
		<-l.closed
		ln.Close()
		<-served
	}
}

// A turn of a connection handles a bounded number of records, and the rest is
// not lost.
func TestTurnsOfTLSAreBounded(t *testing.T) {
	const records = 1000
	for name, record := range map[string]string{"data": "x", "with answers": "update"} {
		t.Run(name, func(t *testing.T) {
			var most, total atomic.Int32
			done := make(chan struct{})
			l := serveTLS(t, Config{}, lines, func() *testConn {
				return &testConn{received: func(_ *testConn, b []byte) ([]byte, bool) {
					n := int32(bytes.Count(b, []byte(record)))
					most.Store(max(most.Load(), n))
					if total.Add(n) == records {
						close(done)
					}
					return nil, true
				}}
			})
			nc, _ := l.connect(t)
			go io.Copy(io.Discard, nc)
			check.Must(t, check.Err(nc.Write([]byte("hello\n"+strings.Repeat(record+"\n", records)))))
			<-done
			limit := int32(maxTurnReads)
			if record == "update" {
				limit = maxTurnAnswers
			}
			if most.Load() > limit {
				t.Errorf("a turn had %d records, want at most %d", most.Load(), limit)
			}
			nc.Close()
			<-l.closed
		})
	}
}

// Plaintext that the connection is not ready for is passed to it later, without
// further input, in order.
func TestTLSWaitsUntilTheConnectionIsReady(t *testing.T) {
	var busy atomic.Bool
	got := make(chan byte, 1000)
	l := serveTLS(t, Config{}, cryptoTLS(nil), func() *testConn {
		return &testConn{
			ready: func() bool { return !busy.Load() },
			received: func(_ *testConn, b []byte) ([]byte, bool) {
				busy.Store(true)
				got <- b[0]
				if len(b) == 1 {
					return nil, true
				}
				return b[1:], true
			},
		}
	})
	client, _, c := l.client(t)
	var want []byte
	for i := range 10 {
		p := []byte{byte(3 * i), byte(3*i + 1), byte(3*i + 2)}
		check.Must(t, check.Err(client.Write(p)))
		want = append(want, p...)
	}
	for i, b := range want {
		if got := <-got; got != b {
			t.Fatalf("byte %d is %d, want %d", i, got, b)
		}
		busy.Store(false)
		c.socket.Resume()
	}
	client.Close()
	if err := <-l.closed; err != io.EOF {
		t.Errorf("closed by %v", err)
	}
}

// A connection can accept no more input while TLS holds some.
func TestTLSDiscardsInputThatTheConnectionRefuses(t *testing.T) {
	var busy atomic.Bool
	l := serveTLS(t, Config{}, cryptoTLS(nil), func() *testConn {
		calls := 0
		return &testConn{
			ready: func() bool { return !busy.Load() },
			received: func(c *testConn, b []byte) ([]byte, bool) {
				if calls++; calls == 1 {
					busy.Store(true)
					return b[1:], true
				}
				c.socket.Write([]byte("bye"))
				c.socket.CloseWrite(false)
				return nil, false
			},
		}
	})
	client, _, c := l.client(t)
	check.Must(t, check.Err(client.Write(make([]byte, 1000))))
	for !busy.Load() {
		time.Sleep(time.Millisecond)
	}
	busy.Store(false)
	c.socket.Resume()
	if b, err := io.ReadAll(client); string(b) != "bye" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	client.Close()
	if err := <-l.closed; err != nil {
		t.Errorf("closed by %v", err)
	}
}

// A write after the end of the connection fails by the error of the socket.
func TestWriteOverTLSAfterAbort(t *testing.T) {
	l := serveTLS(t, Config{}, cryptoTLS(nil), nil)
	client, _, c := l.client(t)
	echoes(t, client, 1)
	if n, err := c.socket.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	c.socket.Abort()
	<-l.closed
	for range 2 {
		if n, err := c.socket.Write([]byte("x")); n != 0 || err != net.ErrClosed {
			t.Errorf("after the end: %d, %v", n, err)
		}
		if err := c.socket.Writev(nil, make([]byte, 100_000)); err != net.ErrClosed {
			t.Errorf("after the end: %v", err)
		}
	}
}

// Any amount of data is intact, in pieces of any size, with small records at the
// beginning and without.
func TestDataOverTLSIsIntact(t *testing.T) {
	for _, large := range []bool{false, true} {
		cfg := &tls.Config{Certificates: []tls.Certificate{testcert.Any()}, DynamicRecordSizingDisabled: large}
		l := serveTLS(t, Config{}, cryptoTLS(cfg), nil)
		client, _, c := l.client(t)
		for _, size := range []int{1, 1000, 5000, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
			data := make([]byte, size)
			rand.Read(data)
			sent := make(chan error, 1)
			go func() {
				_, err := client.Write(data)
				sent <- err
			}()
			echo := make([]byte, size)
			if n, err := io.ReadFull(client, echo); err != nil {
				t.Fatalf("%d of %d bytes: %v", n, size, err)
			}
			check.Must(t, <-sent)
			if !bytes.Equal(echo, data) {
				t.Fatalf("%d bytes are not intact", size)
			}
			for _, head := range []int{0, 1, 14, 40_000} {
				go func() { sent <- c.socket.Writev(data[:min(head, size)], data[min(head, size):]) }()
				check.Must(t, check.Err(io.ReadFull(client, echo)))
				check.Must(t, <-sent)
				if !bytes.Equal(echo, data) {
					t.Fatalf("%d bytes behind %d are not intact", size, head)
				}
			}
		}
		client.Close()
		<-l.closed
	}
}

// A client that has sent close_notify, and reads, gets the output, and
// close_notify behind it. If the client sends on, that is discarded; unread, it
// made the kernel reset the connection, and the output was lost.
func TestCloseNotifyEndsTheInputOnly(t *testing.T) {
	const size = 2 << 20 // more than the kernel buffers
	for name, behind := range map[string]string{"nothing behind": "", "bytes behind": "no record"} {
		t.Run(name, func(t *testing.T) {
			l := serveTLS(t, Config{Linger: time.Minute}, cryptoTLS(nil), func() *testConn {
				return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
					return nil, c.socket.Writev(nil, make([]byte, size)) == nil
				}}
			})
			client, nc, c := l.client(t)
			check.Must(t, check.Err(client.Write([]byte("x"))))
			check.Must(t, client.CloseWrite())
			nc.SetDeadline(time.Now().Add(30 * time.Second)) // TLS has set one
			for !c.eof.Load() {
				time.Sleep(time.Millisecond)
			}
			check.OK(t, check.Err(nc.Write([]byte(behind))))
			if n, err := io.Copy(io.Discard, client); n != size || err != nil { // nil after close_notify
				t.Errorf("%d bytes, %v", n, err)
			}
			if err := c.socket.Writev(nil, []byte("x")); err != io.EOF {
				t.Errorf("a write behind close_notify: %v", err)
			}
			check.OK(t, check.Err(nc.Write([]byte(behind)))) // no reset
			nc.Close()
			if err := <-l.closed; err != io.EOF {
				t.Errorf("closed by %v", err)
			}
		})
	}
}

// The input behind close_notify is bounded, and so is the time that the client
// has to close its side.
func TestSocketEndsBehindCloseNotify(t *testing.T) {
	for name, flood := range map[string]int{"silence": 0, "a flood": 2 * maxDiscarded} {
		t.Run(name, func(t *testing.T) {
			linger := time.Minute
			if flood == 0 {
				linger = 20 * time.Millisecond
			}
			l := serveTLS(t, Config{Linger: linger}, cryptoTLS(nil), func() *testConn {
				c := new(testConn)
				c.ready = func() bool { return flood == 0 || !c.eof.Load() } // else the replies are not complete
				return c
			})
			client, nc, c := l.client(t)
			echoes(t, client, 1)
			check.Must(t, client.CloseWrite())
			nc.SetDeadline(time.Now().Add(30 * time.Second)) // TLS has set one
			for !c.eof.Load() {
				time.Sleep(time.Millisecond)
			}
			nc.Write(make([]byte, flood)) // it may fail, when the socket is closed
			if err := <-l.closed; err != io.EOF {
				t.Errorf("closed by %v", err)
			}
		})
	}
}

// The end of the output is close_notify behind all output, and the socket stays
// open until the client has closed.
func TestCloseWriteSendsCloseNotify(t *testing.T) {
	const size = 2 << 20
	l := serveTLS(t, Config{Linger: time.Minute}, cryptoTLS(nil), func() *testConn {
		return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
			c.socket.Writev(nil, make([]byte, size))
			c.socket.CloseWrite(true)
			if c.socket.Writev(nil, []byte("x")) == nil {
				t.Error("Writev after CloseWrite succeeds")
			}
			return nil, false
		}}
	})
	client, _, _ := l.client(t)
	check.Must(t, check.Err(client.Write([]byte("x"))))
	n, err := io.Copy(io.Discard, client) // nil after close_notify
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	check.OK(t, check.Err(client.Write([]byte("y")))) // no reset
	client.Close()
	if err := <-l.closed; err != nil {
		t.Errorf("closed by %v", err)
	}
}

// A connection whose input ends inside of a record, or whose record was changed,
// ends by the error of TLS.
func TestErrorsOfTLSEndTheConnection(t *testing.T) {
	t.Run("the end inside of a record", func(t *testing.T) {
		l := serveTLS(t, Config{}, cryptoTLS(nil), nil)
		client, nc, _ := l.client(t)
		check.Must(t, client.Handshake())
		echoes(t, client, 1)
		nc.Write(record(23, 100)[:30])
		nc.CloseWrite()
		if err := <-l.closed; err != io.ErrUnexpectedEOF {
			t.Errorf("closed by %v", err)
		}
	})
	t.Run("a record that was changed, and more", func(t *testing.T) {
		const size = 2 << 20 // more than the kernel buffers
		written := make(chan struct{}, 1)
		l := serveTLS(t, Config{Linger: time.Minute}, cryptoTLS(nil), func() *testConn {
			return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
				ok := c.socket.Writev(nil, make([]byte, size)) == nil
				written <- struct{}{}
				return nil, ok
			}}
		})
		client, nc, c := l.client(t)
		check.Must(t, check.Err(client.Write([]byte("x"))))
		<-written // TLS does not write behind an alert
		nc.Write(append(record(23, 30), "more"...))
		for (*secureConn)(c.socket.(*secureSocket)).stage.Load() != secureFailed {
			time.Sleep(time.Millisecond)
		}
		nc.Write([]byte("and more"))
		if n, err := io.Copy(io.Discard, client); n != size || err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client got %d bytes, %v", n, err)
		}
		nc.Close()
		if err := <-l.closed; err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("closed by %v", err)
		}
	})
	t.Run("a record that was changed", func(t *testing.T) {
		l := serveTLS(t, Config{}, cryptoTLS(nil), nil)
		client, nc, _ := l.client(t)
		check.Must(t, client.Handshake())
		echoes(t, client, 1)
		nc.Write(record(23, 30))
		if err := <-l.closed; err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("closed by %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client got %v", err)
		}
	})
}

// A client that fails in the handshake gets the alert, although it sends on.
func TestFailedTLSHandshake(t *testing.T) {
	cfg := &tls.Config{Certificates: []tls.Certificate{testcert.Any()}, ClientAuth: tls.RequireAnyClientCert}
	l := serveTLS(t, Config{}, cryptoTLS(cfg), nil)
	client, _, c := l.client(t)
	check.Must(t, client.Handshake()) // in TLS 1.3 it ends before the server checks the certificate
	client.Write(make([]byte, 50_000))
	if _, err := client.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("the client got %v", err)
	}
	if c.socket.Writev(nil, []byte("x")) == nil {
		t.Error("a write succeeds")
	}
	client.Close()
	if err := <-l.closed; err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("closed by %v", err)
	}
}

// Data that has arrived behind the handshake and before a reset is handled,
// although the handshake is not complete when the loop notices the reset.
func TestResetDuringATLSHandshake(t *testing.T) {
	got := make(chan string, 1)
	begun, complete := make(chan struct{}), make(chan struct{})
	l := serveTLS(t, Config{}, func(nc net.Conn) TLS {
		return slowHandshake{&lineTLS{Conn: nc}, begun, complete}
	}, func() *testConn {
		return &testConn{received: func(_ *testConn, b []byte) ([]byte, bool) {
			got <- string(b)
			return nil, true
		}}
	})
	nc, c := l.connect(t)
	check.Must(t, check.Err(nc.Write([]byte("hello\nhalf a request\n"))))
	<-begun
	nc.SetLinger(0)
	nc.Close()
	s := c.socket.(*secureSocket).PolledSocket
	for noticed := false; !noticed; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		noticed = s.interest == interestNothing || s.fd < 0
		s.mu.Unlock()
	}
	close(complete)
	if err := <-l.closed; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("closed by %v", err)
	}
	select {
	case text := <-got:
		if text != "half a request" {
			t.Errorf("received %q", text)
		}
	default:
		t.Error("nothing was received")
	}
}

// slowHandshake is a TLS whose handshake has read its input, and waits.
type slowHandshake struct {
	*lineTLS
	begun, complete chan struct{}
}

func (c slowHandshake) Handshake() error {
	_, err := c.line()
	c.begun <- struct{}{}
	<-c.complete
	return err
}

// The handshake can arrive byte by byte, and data can arrive together with its
// end. More data than the handshake accepts waits in the socket.
func TestTLSHandshakeInPieces(t *testing.T) {
	l := serveTLS(t, Config{}, lines, nil)
	for _, pieces := range []int{1, 3, 1000} {
		nc, _ := l.connect(t)
		long := strings.Repeat("y", 2*maxHandshakeInput)
		for text := "hello\n" + "x\n"; text != ""; {
			n := min(pieces, len(text))
			check.Must(t, check.Err(nc.Write([]byte(text[:n]))))
			text = text[n:]
			time.Sleep(time.Millisecond)
		}
		check.Must(t, check.Err(nc.Write([]byte(long+"\n"))))
		want := "hello\nx" + long
		got := make([]byte, len(want))
		check.Must(t, check.Err(io.ReadFull(nc, got)))
		if string(got) != want {
			t.Errorf("in pieces of %d: not intact", pieces)
		}
		nc.Close()
		<-l.closed
	}
	// The handshake does not read the bytes behind it.
	nc, _ := l.connect(t)
	behind := strings.Repeat("y", 1000)
	check.Must(t, check.Err(nc.Write([]byte("hello\n"+behind+"\n"))))
	got := make([]byte, len("hello\n"+behind))
	check.Must(t, check.Err(io.ReadFull(nc, got)))
	if string(got) != "hello\n"+behind {
		t.Error("the bytes behind the handshake are not intact")
	}
	nc.Close()
	<-l.closed

	nc, _ = l.connect(t)
	check.Must(t, check.Err(nc.Write([]byte(strings.Repeat("z", 3*maxHandshakeInput)+"\n"))))
	check.Must(t, check.Err(io.CopyN(io.Discard, nc, 3*maxHandshakeInput+1)))
	nc.Close()
	<-l.closed
}

// A call of Received without input causes another one, unless the handshake
// waits for input: it may end before the loop sees that it is not ready.
func TestTLSHandshakeIsCalledAgain(t *testing.T) {
	h := newTLSHandshake()
	if rest, over := h.received([]byte{}); rest == nil || over {
		t.Errorf("while the handshake runs: rest %v, over %v", rest, over)
	}
	h.waits = true
	if rest, over := h.received([]byte{}); rest != nil || over || !h.isWaiting() {
		t.Errorf("while the handshake waits: rest %v, over %v", rest, over)
	}
}

// A handshake that does not end has no goroutine before its first byte, and
// none after its connection. Its connection does not write.
func TestTLSHandshakeThatDoesNotEnd(t *testing.T) {
	for name, end := range map[string]func(nc *net.TCPConn, c *testConn){
		"abort":     func(_ *net.TCPConn, c *testConn) { c.socket.Abort() },
		"EOF":       func(nc *net.TCPConn, _ *testConn) { nc.CloseWrite() },
		"reset":     func(nc *net.TCPConn, _ *testConn) { nc.SetLinger(0); nc.Close() },
		"the close": func(nc *net.TCPConn, c *testConn) { c.socket.CloseWrite(false); nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			running := make(chan struct{}, 1)
			ended := make(chan struct{}, 1)
			l := serveTLS(t, Config{}, func(nc net.Conn) TLS { return observedTLS{tls.Server(nc, &tls.Config{}), running, ended} }, nil)
			nc, c := l.connect(t)
			if _, err := c.socket.Write([]byte("x")); err != net.ErrClosed {
				t.Errorf("a write before the handshake: %v", err)
			}
			select {
			case <-running:
				t.Error("a goroutine runs before the first byte")
			default:
			}
			check.Must(t, check.Err(nc.Write([]byte("\x16\x03\x01"))))
			<-running
			end(nc, c)
			<-l.closed
			<-ended
		})
	}
}

// observedTLS reports when Handshake runs.
type observedTLS struct {
	TLS
	running, ended chan struct{}
}

func (c observedTLS) Handshake() error {
	c.running <- struct{}{}
	defer func() { c.ended <- struct{}{} }()
	return c.TLS.Handshake()
}

// A handshake that panics or ends its goroutine ends its connection.
func TestTLSHandshakeThatDoesNotReturn(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("a bug") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			cfg := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				fail()
				return nil, nil
			}}
			l := serveTLS(t, Config{}, cryptoTLS(cfg), nil)
			client, _, _ := l.client(t)
			if client.Handshake() == nil {
				t.Error("the handshake succeeds")
			}
			var failure *PanicError
			if err := <-l.closed; !errors.As(err, &failure) {
				t.Errorf("closed by %v", err)
			}
		})
	}
}

// A TLS connection that the program has made over a connection of BelowTLS is
// served by epoll, in the handshake or after it, with the bytes that the
// program or TLS has read.
func TestTLSOverBelowTLSIsServedByEpoll(t *testing.T) {
	for name, reads := range map[string]int{"before the handshake": 0, "after two bytes": 2} {
		t.Run(name, func(t *testing.T) {
			below := listen(t)
			defer below.Close()
			ln := BelowTLS(below)
			l := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
			nc, err := net.Dial("tcp", below.Addr().String())
			check.Must(t, err)
			defer nc.Close()
			client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			sent := make(chan error, 1)
			go func() {
				_, err := client.Write([]byte("Hello"))
				sent <- err
			}()
			ours, err := ln.Accept()
			check.Must(t, err)
			secure := tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{testcert.Any()}})
			first := make([]byte, reads)
			check.Must(t, check.Err(io.ReadFull(secure, first)))
			ended := make(chan struct{})
			l.Start(secure, l.open(nil), first, ended)
			c := <-l.started
			if c.socket.Shard() < 0 {
				t.Error("a goroutine serves the connection")
			}
			check.OK(t, <-sent)
			got := make([]byte, 5)
			check.Must(t, check.Err(io.ReadFull(client, got)))
			if string(got) != "Hello" {
				t.Errorf("the echo is %q", got)
			}
			echoes(t, client, 10)
			client.Close()
			<-l.closed
			<-ended
		})
	}
}

// acceptBelowTLS returns the client's end of a connection, and the server's of
// BelowTLS.
func acceptBelowTLS(t *testing.T) (client, ours net.Conn) {
	t.Helper()
	below := listen(t)
	defer below.Close()
	client, err := net.Dial("tcp", below.Addr().String())
	check.Must(t, err)
	ours, err = BelowTLS(below).Accept()
	check.Must(t, err)
	return client, ours
}

// A type that embeds a *tls.Conn may do more in its methods: goroutines serve
// it, which call them.
func TestTypesThatEmbedTLSAreServedByGoroutines(t *testing.T) {
	l := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
	nc, ours := acceptBelowTLS(t)
	defer nc.Close()
	counting := &countingTLS{Conn: tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{testcert.Any()}})}
	l.Start(counting, l.open(nil), nil, nil)
	if c := <-l.started; c.socket.Shard() >= 0 {
		t.Error("epoll serves the connection")
	}
	client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	echoes(t, client, 3)
	if n := counting.reads.Load(); n < 3 {
		t.Errorf("Read was called %d times", n)
	}
	client.Close()
	<-l.closed
}

// countingTLS counts calls of Read.
type countingTLS struct {
	*tls.Conn
	reads atomic.Int32
}

func (c *countingTLS) Read(p []byte) (int, error) {
	c.reads.Add(1)
	return c.Conn.Read(p)
}

// Only the connections of a TCP listener change, and its errors do not.
func TestBelowTLSOfOtherListeners(t *testing.T) {
	other := struct{ net.Listener }{listen(t)}
	if ln := BelowTLS(other); ln != net.Listener(other) {
		t.Errorf("another listener is %v", ln)
	}
	if TCPListener(other) != nil {
		t.Error("another listener is one of TCP")
	}
	tcp := BelowTLS(other.Listener)
	if TCPListener(tcp) != other.Listener {
		t.Error("the TCP listener below TLS is not found")
	}
	tcp.Close()
	if _, err := tcp.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// A connection of BelowTLS without TLS is served like any TCP connection.
func TestTCPOfBelowTLSIsServedByEpoll(t *testing.T) {
	l := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
	nc, ours := acceptBelowTLS(t)
	l.Start(ours, l.open(nil), nil, nil)
	if c := <-l.started; c.socket.Shard() < 0 {
		t.Error("a goroutine serves the connection")
	}
	echoes(t, nc, 1)
	nc.Close()
	<-l.closed
}

// Output of a handler to another connection with TLS is encrypted at once and
// written once, in front of the records that end it.
func TestOutputToOthersOverTLSIsWrittenOnce(t *testing.T) {
	var to *testConn
	var writes atomic.Int32
	handled := make(chan struct{})
	l := newTestLoop(t, Config{MaxBlocked: 10, WatchPeriod: time.Hour}, nil, nil)
	calls := *kernel
	calls.write = func(fd int32, p []byte) (int, error) { writes.Add(1); return kernel.write(fd, p) }
	calls.writev = func(fd int32, a, b []byte) (int, error) { writes.Add(1); return kernel.writev(fd, a, b) }
	l.pollers().sys = &calls
	ln := listen(t)
	l.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() {
		served <- l.ServeTLS(ln, cryptoTLS(nil), l.open(func() *testConn {
			return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
				if string(b) != "?" {
					return nil, c.socket.Writev(nil, b) == nil
				}
				settle(c.socket.(*secureSocket).poller)
				c.socket.MoreInput(true)
				for _, s := range []string{"1", "2", "3"} {
					check.OK(t, to.socket.Writev([]byte(s), []byte(s)))
				}
				if n := to.socket.Buffered(); n < 3*(recordHeader+2) || !to.socket.Deferred() || n != int(l.buffered.Load()) {
					t.Errorf("%d bytes buffered, %d in all; deferred: %v", n, l.buffered.Load(), to.socket.Deferred())
				}
				if n := writes.Load(); n != 0 {
					t.Errorf("written in %d calls before the end of the batch", n)
				}
				c.socket.MoreInput(false)
				handled <- struct{}{}
				return nil, true
			}}
		}), Recovered)
	}()
	receiver, _, c := l.client(t)
	to = c
	echo := func(client *tls.Conn) { // returns when its TLS handshake and input are handled
		check.Must(t, check.Err(client.Write([]byte("echo"))))
		check.Must(t, check.Err(io.ReadFull(client, make([]byte, 4))))
	}
	echo(receiver)
	sender, _, _ := l.client(t)
	echo(sender)
	l.awaitIdle() // or the receiver's own handler may run, and nothing be deferred
	writes.Store(0)
	check.Must(t, check.Err(sender.Write([]byte("?"))))
	<-handled
	got := make([]byte, 6)
	if _, err := io.ReadFull(receiver, got); err != nil || string(got) != "112233" {
		t.Errorf("received %q, %v", got, err)
	}
	to.socket.Flush() // returns when the write has been counted
	if n := writes.Load(); n != 1 {
		t.Errorf("written in %d calls", n)
	}
	writes.Store(0)
	check.Must(t, check.Err(sender.Write([]byte("?"))))
	<-handled
	to.socket.CloseWrite(false)
	if got, err := io.ReadAll(receiver); err != nil || string(got) != "112233" {
		t.Errorf("received %q, %v before the end", got, err)
	}
	receiver.Close()
	sender.Close()
	for range 2 {
		<-l.closed
	}
	ln.Close()
	<-served
}

// A TLS connection whose descriptor is closed cannot be served by epoll. It ends
// by the error of its net.Conn.
func TestClosedTLSOverBelowTLS(t *testing.T) {
	l := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
	nc, ours := acceptBelowTLS(t)
	defer nc.Close()
	ours.Close()
	l.Start(tls.Server(ours, &tls.Config{}), l.open(nil), nil, nil)
	if c := <-l.started; c.socket.Shard() >= 0 {
		t.Error("epoll serves the connection")
	}
	if err := <-l.closed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed by %v", err)
	}
}

// TLS continues behind an error that is temporary, and takes no other error of a
// Read for the end of input.
func TestErrorOfReadWithoutInputIsTemporary(t *testing.T) {
	var failed interface { // net.Error, whose Temporary is deprecated, but not for crypto/tls
		error
		Timeout() bool
		Temporary() bool
	}
	if !errors.As(errNoInput, &failed) || !failed.Temporary() || !failed.Timeout() || failed.Error() == "" {
		t.Errorf("%v is not temporary", errNoInput)
	}
}
