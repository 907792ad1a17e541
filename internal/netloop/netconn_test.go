package netloop_test

import (
	"errors"
	"io"
	"net"
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
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
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
