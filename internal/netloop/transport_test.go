package netloop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/internal/test/check"
)

// WriteTimeout used to bound a message as a whole, and aborted connections over
// slow links ("the peer does not read") that read it steadily
// (gorilla/websocket#885, python-websockets/websockets#1005). It bounds the
// time without progress (T-C08).
func TestWriteTimesOutWithoutProgressOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := net.Pipe()
		defer ours.Close()
		c := netloop.NewSystemTransport(ours)
		c.SetWriteTimeout(netloop.WriteTimeout{After: timeout, Err: netloop.ErrLate})
		const pieces, size = 100, 10
		go func() {
			for range pieces {
				time.Sleep(timeout * 9 / 10)
				io.ReadFull(peer, make([]byte, size))
			}
		}()
		start := time.Now()
		if n, err := c.Write(make([]byte, pieces*size)); n != pieces*size || err != nil {
			t.Fatalf("Write returned %d, %v after %v", n, err, time.Since(start))
		}
		if took := time.Since(start); took < pieces*timeout/2 {
			t.Errorf("it took %v: the peer was not slow", took)
		}

		// Now the peer reads three bytes, and then no more.
		go io.ReadFull(peer, make([]byte, 3))
		start = time.Now()
		n, err := c.Write(make([]byte, 100))
		if err != netloop.ErrLate || n != 3 {
			t.Errorf("Write returned %d, %v", n, err)
		}
		if took := time.Since(start); took < timeout || took > timeout*3/2 {
			t.Errorf("it took %v", took)
		}
		if c.TimedOut() != netloop.ErrLate || netloop.Over(hidden{c}, c, netloop.Recovered).TimedOut() != netloop.ErrLate {
			t.Error("the timeout is not reported")
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection was not aborted: %v", err)
		}
	})
}

// A busy connection does not set its write deadline with every write.
func TestSystemWriteDeadlineIsSetRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		go io.Copy(io.Discard, peer)
		c := netloop.NewSystemTransport(ours)
		c.SetWriteTimeout(netloop.WriteTimeout{After: timeout, Err: netloop.ErrLate})
		const between, writes = timeout / 100, 5000 // over fifty times the timeout
		for range writes {
			check.Must(t, check.Err(c.Write([]byte("x"))))
			time.Sleep(between)
		}
		if n, most := len(ours.deadlines), writes/12+1; n > most {
			t.Errorf("the deadline was set %d times, want %d at most", n, most)
		}
	})
}

// withoutDeadlines is a net.Conn without working deadlines, like the channels
// of SSH (gorilla/websocket#911, golang/go#67152). Some of its calls hang.
type withoutDeadlines struct {
	noDeadlines
	read, write, close func() // called first if not nil
}

var errNoDeadline = errors.New("deadline not supported")

func (c *withoutDeadlines) Read(p []byte) (int, error) {
	call(c.read)
	return c.Conn.Read(p)
}

func (c *withoutDeadlines) Write(p []byte) (int, error) {
	call(c.write)
	return c.Conn.Write(p)
}

func (c *withoutDeadlines) Close() error {
	call(c.close)
	return c.Conn.Close()
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// foreign returns both ends of a transport over a net.Conn whose deadlines do
// not work.
func foreign(t *testing.T) (c netloop.Transport, under *withoutDeadlines, peer net.Conn) {
	ours, peer := net.Pipe()
	t.Cleanup(func() { ours.Close(); peer.Close() })
	under = &withoutDeadlines{noDeadlines: noDeadlines{ours, errNoDeadline}}
	return netloop.NewTransport(under, netloop.Recovered), under, peer
}

// A Read of a net.Conn without deadlines used to outlive its context. It ends
// at its deadline, which may be set at any time, and the bytes that arrive
// later are not lost.
func TestForeignReadEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := foreign(t)
		buf := make([]byte, 3)
		read := func(want string, after time.Duration) {
			t.Helper()
			start := time.Now()
			n, err := c.Read(buf)
			if took := time.Since(start); took != after || want != string(buf[:n]) || (n == 0) != errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %q, %v after %v; want %q after %v", buf[:n], err, took, want, after)
			}
		}
		for range 3 { // before the call, with no more than one goroutine that reads
			check.Must(t, c.SetReadDeadline(time.Now().Add(timeout)))
			read("", timeout)
			read("", 0)
		}
		c.SetReadDeadline(time.Time{})
		time.AfterFunc(timeout, func() { c.SetReadDeadline(time.Unix(1, 0)) }) // during the call
		read("", timeout)
		c.SetReadDeadline(time.Now().Add(timeout))
		time.AfterFunc(timeout/2, func() { c.SetReadDeadline(time.Now().Add(timeout)) }) // a later one
		read("", timeout*3/2)
		go peer.Write([]byte("Hello"))
		synctest.Wait()
		read("", 0) // the deadline has passed
		c.SetDeadline(time.Time{})
		read("Hel", 0)
		read("lo", 0)
	})
}

// A Write that hangs ends after the write timeout, and the connection with it.
func TestForeignWriteEndsAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := foreign(t)
		c.SetWriteTimeout(netloop.WriteTimeout{After: timeout, Err: netloop.ErrLate})
		go io.ReadFull(peer, make([]byte, 64<<10))
		start := time.Now()
		n, err := c.Write(make([]byte, 100<<10))
		if err != netloop.ErrLate || n < 32<<10 {
			t.Errorf("Write returned %d, %v", n, err)
		}
		took(t, start, timeout)
		if c.TimedOut() != netloop.ErrLate {
			t.Error("the timeout is not reported")
		}
		if _, err := c.Write(nil); err != netloop.ErrLate {
			t.Errorf("the next Write returned %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read returned %v", err)
		}
	})
	check.Bubble(t, "deadline", func(t *testing.T) {
		c, _, _ := foreign(t)
		c.SetWriteDeadline(time.Now().Add(timeout))
		start := time.Now()
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A slow foreign connection is written to in small chunks, so that a peer that
// reads a little again and again is not aborted.
func TestForeignWriteToASlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, peer := foreign(t)
		c.SetWriteTimeout(netloop.WriteTimeout{After: timeout, Err: netloop.ErrLate})
		const size = 256 << 10
		go func() {
			for buf := make([]byte, 4<<10); ; { // 32 KiB in 7 s, and then slower
				if _, err := io.ReadFull(peer, buf); err != nil {
					return
				}
				time.Sleep(timeout * 7 / 8 / 8)
				if len(buf) > 1<<10 {
					buf = buf[:len(buf)-8]
				}
			}
		}()
		start := time.Now()
		if n, err := c.Write(make([]byte, size)); n != size || err != nil {
			t.Errorf("Write returned %d, %v after %v", n, err, time.Since(start))
		}
	})
}

// Close and Abort end all calls and return soon, also if the Close of the
// net.Conn hangs.
func TestForeignCloseEndsAllCalls(t *testing.T) {
	for name, end := range map[string]func(c netloop.Transport) error{
		"Close": netloop.Transport.Close,
		"Abort": netloop.Transport.Abort,
	} {
		for _, hangs := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, under, _ := foreign(t)
				release := make(chan struct{})
				most := time.Duration(0)
				if hangs {
					under.close = func() { <-release }
					most = netloop.CloseGrace
				}
				var calls sync.WaitGroup
				for call, f := range map[string]func([]byte) (int, error){"Read": c.Read, "Write": c.Write} {
					calls.Go(func() {
						if _, err := f(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
							t.Errorf("%s: %s returned %v", name, call, err)
						}
					})
				}
				synctest.Wait()
				start := time.Now()
				if err := end(c); err != nil || time.Since(start) > most {
					t.Errorf("%s returned %v after %v", name, err, time.Since(start))
				}
				calls.Wait()
				if err := c.CloseWrite(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("CloseWrite returned %v", err)
				}
				if err := end(c); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the second %s returned %v", name, err)
				}
				close(release)
			})
		}
	}
}

// A panic or runtime.Goexit in a method of the program's net.Conn used to end
// the process, if a goroutine of the library called it. It is the call's error.
func TestForeignConnThatPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"panic":  func() { panic("on purpose") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, under, _ := foreign(t)
				under.read, under.write, under.close = f, f, f
				_, readErr := c.Read(make([]byte, 1))
				_, writeErr := c.Write(make([]byte, 1))
				for call, err := range map[string]error{"Read": readErr, "Write": writeErr, "Abort": c.Abort()} {
					var p *netloop.PanicError
					if !errors.As(err, &p) || !bytes.Contains(p.Stack, []byte("transport_test.go")) && name == "panic" {
						t.Errorf("%s returned %v", call, err)
					}
				}
			})
		})
	}
}

// liar is a net.Conn that returns impossible numbers.
type liar struct {
	net.Conn
	n int
}

func (l liar) Read([]byte) (int, error)  { return l.n, nil }
func (l liar) Write([]byte) (int, error) { return l.n, nil }
func (l liar) Close() error              { return nil }

// T-G11: an impossible byte count of a net.Conn is an error.
func TestForeignConnThatLies(t *testing.T) {
	for _, n := range []int{-1, 2, 1 << 30} {
		c := netloop.NewTransport(liar{n: n}, netloop.Recovered)
		if n != 2 {
			if m, err := c.Read(make([]byte, 1)); m != 0 || err == nil {
				t.Errorf("Read returned %d, %v", m, err)
			}
		}
		if m, err := c.Write([]byte("x")); m < 0 || m > 1 || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("Write returned %d, %v", m, err)
		}
	}
}

// hidden is a TLS connection inside a type of the program.
type hidden struct{ net.Conn }

// CloseNow over an https proxy closed the proxy's TLS, which waited for up to 5
// s to send close_notify to a proxy that did not read. Abort waits for no
// close_notify: neither with TLS in TLS, nor with TLS inside a wrapper (T-C08).
func TestAbortDoesNotWaitForTLS(t *testing.T) {
	for name, over := range map[string]func(secure net.Conn) netloop.Transport{
		"TLS":        func(nc net.Conn) netloop.Transport { return netloop.NewTransport(nc, netloop.Recovered) },
		"hidden TLS": func(nc net.Conn) netloop.Transport { return netloop.NewTransport(hidden{nc}, netloop.Recovered) },
		"TLS over it": func(nc net.Conn) netloop.Transport {
			return netloop.Over(hidden{nc}, netloop.NewTransport(nc, netloop.Recovered), netloop.Recovered)
		},
		"TLS of the program over it": func(nc net.Conn) netloop.Transport {
			return netloop.OverForeign(hidden{nc}, netloop.NewTransport(nc, netloop.Recovered), netloop.Recovered)
		},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			a, b := pipe(t)
			ours, _ := secured(t, a, b)
			c := over(ours)
			start := time.Now()
			if err := c.Abort(); err != nil || time.Since(start) > netloop.CloseGrace {
				t.Errorf("Abort returned %v after %v", err, time.Since(start))
			}
			synctest.Wait()
			if _, err := b.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "closed") {
				t.Errorf("the peer got %v", err)
			}
		})
	}
}

// crypto/tls wraps the error of a write that timed out. Write returns the error
// itself, which client and server compare.
func TestTimeoutBelowTLSIsNotWrapped(t *testing.T) {
	for name, over := range map[string]func(net.Conn, netloop.Transport, netloop.Recover) netloop.Transport{
		"TLS":                netloop.Over,
		"TLS of the program": netloop.OverForeign,
	} {
		check.Bubble(t, name, func(t *testing.T) {
			a, b := pipe(t)
			below := netloop.NewSystemTransport(a)
			ours, _ := secured(t, below, b)
			c := over(ours, below, netloop.Recovered)
			c.SetWriteTimeout(netloop.WriteTimeout{After: timeout, Err: netloop.ErrLate})
			if _, err := c.Write(make([]byte, 100)); err != netloop.ErrLate {
				t.Errorf("Write returned %v", err)
			}
			c.Close()
		})
	}
}

// A program whose connections have TLS already returns the one below.
func TestNoTLSOverTheTransport(t *testing.T) {
	a, _ := pipe(t)
	below := netloop.NewSystemTransport(a)
	if c := netloop.OverForeign(below, below, netloop.Recovered); c != below {
		t.Errorf("got %T", c)
	}
}

// busy is a TLS connection whose Read has to write first, as after a KeyUpdate
// request, and whose peer does not read.
type busy struct {
	net.Conn
	taken chan struct{}
}

func (b busy) Read(p []byte) (int, error) {
	<-b.taken
	return copy(p, "Hello"), nil
}

// A Read of TLS that answers a KeyUpdate waits for the peer, or for another
// writer, without a deadline. It used to outlive its context. Its bytes are not
// lost.
func TestReadOfTLSThatWritesEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, _ := pipe(t)
		tls := busy{ours, make(chan struct{})}
		c := netloop.Over(tls, netloop.NewTransport(ours, netloop.Recovered), netloop.Recovered)
		c.SetReadDeadline(time.Now().Add(timeout))
		start := time.Now()
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		close(tls.taken)
		c.SetReadDeadline(time.Time{})
		buf := make([]byte, 10)
		if n, err := c.Read(buf); string(buf[:n]) != "Hello" || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
	})
}

// takenConn is a net.Conn whose peer reads everything and then ends the
// connection, before Write can return.
type takenConn struct {
	net.Conn
	taken, closed chan struct{}
}

func (c takenConn) Write(p []byte) (int, error) {
	close(c.taken)
	<-c.closed
	return len(p), nil
}

func (c takenConn) Close() error {
	close(c.closed)
	return nil
}

// A Write whose bytes the peer has read succeeds, although the connection is
// aborted before the goroutine of the Write has returned.
func TestForeignWriteThatThePeerHasTaken(t *testing.T) {
	for range 100 {
		nc := takenConn{taken: make(chan struct{}), closed: make(chan struct{})}
		c := netloop.NewTransport(nc, netloop.Recovered)
		wrote := make(chan error)
		go func() {
			n, err := c.Write([]byte("Hello"))
			if err == nil && n != 5 {
				err = io.ErrShortWrite
			}
			wrote <- err
		}()
		<-nc.taken
		c.Abort()
		check.Must(t, <-wrote)
	}
}

// lowConn is the transport below layeredConn: its deadlines have no effect.
type lowConn struct {
	net.Conn
	closed atomic.Int32
}

func (c *lowConn) SetDeadline(time.Time) error { return nil }

func (c *lowConn) Close() error {
	c.closed.Add(1)
	return nil
}

// layeredConn is a connection of the program over another one, such as a TLS
// connection whose Close releases something. Its Close may wait for the peer.
type layeredConn struct {
	net.Conn
	low    net.Conn
	hangs  chan struct{} // until it is closed; nil: Close does not wait
	closed atomic.Int32
}

func (c *layeredConn) NetConn() net.Conn { return c.low }

func (c *layeredConn) Close() error {
	c.closed.Add(1)
	if c.hangs != nil {
		<-c.hangs
	}
	return nil
}

// Abort closes the lowest connection, and then the program's own, which may
// have to release something. That Close used to be never called.
func TestAbortClosesEveryLayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		low := new(lowConn)
		nc := &layeredConn{low: low}
		check.OK(t, netloop.NewTransport(nc, netloop.Recovered).Abort())
		synctest.Wait()
		if low.closed.Load() != 1 || nc.closed.Load() != 1 {
			t.Errorf("closed %d times, the program's own %d times", low.closed.Load(), nc.closed.Load())
		}
	})
}

// A Close that waits for the peer, on a transport without deadlines, does not
// keep the transport open. It used to stay open for ever.
func TestCloseThatHangsReleasesTheTransport(t *testing.T) {
	low := new(lowConn)
	hangs := make(chan struct{})
	defer close(hangs)
	c := netloop.NewTransport(&layeredConn{low: low, hangs: hangs}, netloop.Recovered)
	check.OK(t, c.Close())
	for deadline := time.Now().Add(30 * time.Second); low.closed.Load() == 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the transport is open")
		}
	}
}

// A connection that names itself as the one below ends no call in an endless
// loop.
func TestConnBelowItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := new(layeredConn)
		nc.low = nc
		if err := netloop.NewTransport(nc, netloop.Recovered).Abort(); err != nil || nc.closed.Load() == 0 {
			t.Errorf("closed %d times: %v", nc.closed.Load(), err)
		}
	})
}
