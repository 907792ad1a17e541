package netloop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/internal/test/check"
)

const timeout = 8 * time.Second

// The error of a transport with its own time limit is returned unchanged.
func TestTimeLimitOfTheTransportIsNamed(t *testing.T) {
	if _, err := (&netloop.NetConn{Conn: late{err: netloop.ErrLate}}).Write([]byte("Hello")); err != netloop.ErrLate {
		t.Errorf("%v, want %v", err, netloop.ErrLate)
	}
}

// late is a transport whose writes time out.
type late struct {
	net.Conn
	err error
}

func (l late) Write([]byte) (int, error) { return 0, l.err }
func (l late) Close() error              { return nil }

// noDeadlines is a net.Conn whose deadlines fail, as those of an SSH channel
// do, or have no effect (gorilla/websocket#911, golang/go#67152).
type noDeadlines struct {
	net.Conn
	err error
}

func (c noDeadlines) SetDeadline(time.Time) error      { return c.err }
func (c noDeadlines) SetReadDeadline(time.Time) error  { return c.err }
func (c noDeadlines) SetWriteDeadline(time.Time) error { return c.err }

// Linger is bounded without deadlines too.
func TestLingerNeedsNoDeadlines(t *testing.T) {
	for name, err := range map[string]error{"fail": errors.New("not supported"), "do nothing": nil} {
		check.Bubble(t, name, func(t *testing.T) {
			a, _ := pipe(t)
			start := time.Now()
			(&netloop.NetConn{Conn: noDeadlines{a, err}}).Linger(wait)
			if took := time.Since(start); took < wait || took > 2*wait {
				t.Errorf("Linger took %v", took)
			}
		})
	}
}

// Any other error of a write is returned unchanged and does not close the
// connection.
func TestWriteErrorIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		peer.Close()
		if _, err := (&netloop.NetConn{Conn: ours}).Write([]byte("x")); err != io.ErrClosedPipe {
			t.Errorf("got %v", err)
		}
	})
}

// Close does not wait for a peer that does not read, with TLS either.
func TestCloseDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t)
		ours, _ := secured(t, a, b)
		start := time.Now()
		check.OK(t, (&netloop.NetConn{Conn: ours}).Close())
		took(t, start, 0)
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
	})
}

// shortWriter is a net.Conn that writes less than it reports.
type shortWriter struct{ net.Conn }

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// T-G11: a short write without an error is an error.
func TestShortWriteIsAnError(t *testing.T) {
	ours, _ := pipe(t)
	if n, err := (&netloop.NetConn{Conn: shortWriter{ours}}).Write([]byte("frame")); n != 2 || err != io.ErrShortWrite {
		t.Errorf("got %d, %v", n, err)
	}
}

const wait = 3 * time.Second

// The peer reads the last bytes and then the end, not a reset, although much of
// its input has not been read (6455-7.1.1-a, T-H15).
func TestLastBytesArriveDespiteUnreadInput(t *testing.T) {
	transports := map[string]func(t *testing.T) (ours, peer net.Conn){
		"TCP": tcp,
		"TLS": func(t *testing.T) (ours, peer net.Conn) {
			a, b := tcp(t)
			return secured(t, a, b)
		},
	}
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			ours, peer := transport(t)
			check.Must(t, check.Err(peer.Write(make([]byte, 200<<10))))
			c := (&netloop.NetConn{Conn: ours})
			if _, err := io.ReadFull(ours, make([]byte, 10)); err != nil { // the rest is unread
				t.Fatal(err)
			}
			last := bytes.Repeat([]byte("last bytes"), 100)
			check.Must(t, check.Err(c.Write(last)))
			lingered := make(chan struct{})
			go func() {
				defer close(lingered)
				c.CloseWriteWithin(time.Minute)
				c.Linger(time.Minute)
			}()
			if got, err := io.ReadAll(peer); err != nil || !bytes.Equal(got, last) {
				t.Errorf("the peer read %d bytes and %v", len(got), err)
			}
			peer.Close()
			<-lingered // because the peer has closed; a minute is far
			if _, err := ours.Write([]byte("x")); err == nil {
				t.Error("the connection is still open")
			}
		})
	}
}

// CloseWriteWithin closes a transport that has no CloseWrite.
func TestCloseWriteWithinWithoutHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		c := (&netloop.NetConn{Conn: ours})
		c.CloseWriteWithin(wait)
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
		start := time.Now()
		c.Linger(wait)
		took(t, start, 0)
	})
}

// A peer that neither reads nor closes blocks no call for longer than its
// limit, although TLS would wait for it (T-C10).
func TestCloseWriteWithinAndLingerEnd(t *testing.T) {
	tests := []struct {
		name   string
		secure bool
		f      func(c *netloop.NetConn)
		most   time.Duration
	}{
		{"Linger", false, func(c *netloop.NetConn) { c.Linger(wait) }, wait},
		{"CloseWriteWithin with TLS", true, func(c *netloop.NetConn) { c.CloseWriteWithin(wait) }, wait},
		{"Linger with TLS", true, func(c *netloop.NetConn) { c.Linger(wait) }, 2 * wait},
		{"both with TLS", true, func(c *netloop.NetConn) { c.CloseWriteWithin(wait); c.Linger(wait) }, 2 * wait},
	}
	for _, tt := range tests {
		check.Bubble(t, tt.name, func(t *testing.T) {
			a, b := pipe(t)
			var ours net.Conn = a
			if tt.secure {
				ours, _ = secured(t, a, b)
			}
			start := time.Now()
			tt.f((&netloop.NetConn{Conn: ours}))
			if took := time.Since(start); took < wait || took > tt.most {
				t.Errorf("it took %v, want from %v to %v", took, wait, tt.most)
			}
			if _, err := b.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the peer got %v", err)
			}
		})
	}
}

// Without a limit Linger waits for the peer for any time.
func TestLingerWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		const silence = 1000 * time.Hour
		go func() {
			time.Sleep(silence)
			peer.Close()
		}()
		start := time.Now()
		c := (&netloop.NetConn{Conn: ours})
		if err := ours.SetReadDeadline(start.Add(time.Second)); err != nil { // an old one does not matter
			t.Fatal(err)
		}
		c.Linger(0)
		took(t, start, silence)
	})
}

// A peer that sends on is cut off by the number of bytes, long before the time
// limit (T-C10).
func TestLingerIsBoundedInBytes(t *testing.T) {
	const most = 1<<20 + 64<<10
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		sent := make(chan int)
		go func() {
			total := 0
			for piece := make([]byte, 1000); ; {
				n, err := peer.Write(piece)
				total += n
				if err != nil {
					sent <- total
					return
				}
			}
		}()
		start := time.Now()
		(&netloop.NetConn{Conn: ours}).Linger(time.Hour)
		if total := <-sent; total < 1<<20 || total > most {
			t.Errorf("the peer could send %d bytes", total)
		}
		took(t, start, 0)
	})
}

// A peer that sends single bytes does not prolong Linger (T-C10).
func TestLingerIsNotProlonged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		var sender sync.WaitGroup
		defer sender.Wait()
		sender.Go(func() {
			for {
				if _, err := peer.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(wait / 10)
			}
		})
		start := time.Now()
		(&netloop.NetConn{Conn: ours}).Linger(wait)
		took(t, start, wait)
	})
}

// With TLS, Linger sends close_notify even if CloseWriteWithin has not: a peer
// that ends first learns that the stream is complete (6455-7.1.1-a).
func TestLingerSaysGoodbye(t *testing.T) {
	a, b := tcp(t)
	ours, peer := secured(t, a, b)
	lingered := make(chan struct{})
	go func() {
		defer close(lingered)
		(&netloop.NetConn{Conn: ours}).Linger(time.Minute)
	}()
	check.Must(t, peer.CloseWrite())
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer got %v", err)
	}
	<-lingered
}
