package socket_test

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

const timeout = 8 * time.Second

// A transport that has a time limit of its own names it, and is not corrected.
func TestTimeLimitOfTheTransportIsNamed(t *testing.T) {
	below := &socket.TimeoutError{After: time.Minute, Bytes: 7}
	if _, err := socket.New(late{err: below}, 0).Write([]byte("Hello")); err != below {
		t.Errorf("%v, want %v", err, below)
	}
}

// late is a transport that cannot write in time.
type late struct {
	net.Conn
	err error
}

func (l late) Write([]byte) (int, error) { return 0, l.err }
func (l late) Close() error              { return nil }

// noDeadlines is a net.Conn whose deadlines fail, as those of an SSH channel do, or
// do nothing (gorilla/websocket#911, golang/go#67152).
type noDeadlines struct {
	net.Conn
	err error
}

func (c noDeadlines) SetDeadline(time.Time) error      { return c.err }
func (c noDeadlines) SetReadDeadline(time.Time) error  { return c.err }
func (c noDeadlines) SetWriteDeadline(time.Time) error { return c.err }

// The limits hold without deadlines: of writes, however many have been in time
// before, and of Drain (T-C08). They used to be deadlines.
func TestLimitsNeedNoDeadlines(t *testing.T) {
	for name, err := range map[string]error{"fail": errors.New("not supported"), "do nothing": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, peer := pipe(t)
				go io.CopyN(io.Discard, peer, 5000)
				c := socket.New(noDeadlines{a, err}, timeout)
				for range 5000 { // over fifty times the timeout
					if _, err := c.Write([]byte("x")); err != nil {
						t.Fatal(err)
					}
					time.Sleep(timeout / 100)
				}
				start := time.Now()
				_, err := c.Write([]byte("x"))
				if took := time.Since(start); took < timeout || took > timeout+timeout/4 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the write took %v and returned %v", took, err)
				}
				if n := len(a.deadlines); n > 0 {
					t.Errorf("%d deadlines were set", n)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				a, _ := pipe(t)
				start := time.Now()
				socket.New(noDeadlines{a, err}, 0).Drain(wait)
				if took := time.Since(start); took < wait || took > 2*wait {
					t.Errorf("Drain took %v", took)
				}
			})
		})
	}
}

// A large write to a peer that reads slowly is not cut, however long it takes: the
// limit is on time without progress (gorilla/websocket#885).
func TestSlowPeerIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t)
		ours, peer := secured(t, a, b)
		var reader sync.WaitGroup
		defer reader.Wait()
		defer a.Close()
		reader.Go(func() {
			buf := make([]byte, 4<<10)
			for {
				if _, err := peer.Read(buf); err != nil {
					return
				}
				time.Sleep(timeout / 50)
			}
		})
		start := time.Now()
		if n, err := socket.New(ours, timeout).Write(make([]byte, 1<<20)); err != nil {
			t.Errorf("the write ended after %v and %d bytes with %v", time.Since(start), n, err)
		}
		if took := time.Since(start); took < 3*timeout {
			t.Errorf("the write took only %v", took)
		}
	})
}

// After a long silence the old deadline does not matter.
func TestWriteAfterASilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		go io.Copy(io.Discard, peer)
		c := socket.New(ours, timeout)
		for _, silence := range []time.Duration{0, timeout, timeout + timeout/4, time.Hour} {
			time.Sleep(silence)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Errorf("after %v: %v", silence, err)
			}
		}
	})
}

// Without a positive timeout there is no limit, and one that is as good as none
// works.
func TestWritesWithoutLimit(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1, math.MinInt64, math.MaxInt64} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, peer := pipe(t)
				c := socket.New(ours, timeout)
				go func() {
					time.Sleep(1000 * time.Hour)
					io.Copy(io.Discard, peer)
				}()
				if _, err := c.Write([]byte("at last")); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A peer that stops reading costs the timeout, and then the connection: both who
// writes and who reads learn of it (T-C02, T-C08).
func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		c := socket.New(ours, timeout)
		received := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			received <- err
		}()
		go io.ReadFull(peer, make([]byte, 30))
		start := time.Now()
		n, err := c.Write(make([]byte, 100))
		if took := time.Since(start); took < timeout || took > timeout+timeout/4 {
			t.Errorf("the write took %v", took)
		}
		var late *socket.TimeoutError
		var netError net.Error
		if !errors.As(err, &late) || *late != (socket.TimeoutError{After: timeout, Bytes: 100, Written: 30}) || n != 30 {
			t.Errorf("Write returned %d, %#v", n, err)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &netError) || !netError.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		const text = "websocket: the peer does not read: no progress in writing for 8s (WriteTimeout)"
		if err.Error() != text {
			t.Errorf("got  %v\nwant %v", err, text)
		}
		if err := <-received; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read returned %v", err)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
	})
}

// Any other error of a write is the transport's own, and closes nothing.
func TestWriteErrorIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, peer := pipe(t)
		peer.Close()
		if _, err := socket.New(ours, timeout).Write([]byte("x")); err != io.ErrClosedPipe {
			t.Errorf("got %v", err)
		}
	})
}

// A TLS connection whose peer does not read is cut, and nobody waits for TLS to
// say goodbye (T-C08).
func TestTLSPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t)
		ours, _ := secured(t, a, b)
		c := socket.New(ours, timeout)
		start := time.Now()
		_, err := c.Write([]byte(strings.Repeat("x", 100)))
		if took := time.Since(start); took > timeout+timeout/4 {
			t.Errorf("the write took %v", took)
		}
		var late *socket.TimeoutError
		if !errors.As(err, &late) {
			t.Errorf("Write returned %v", err)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
	})
}

// Close does not wait for a peer that does not read, with TLS either.
func TestCloseDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t)
		ours, _ := secured(t, a, b)
		start := time.Now()
		if err := socket.New(ours, timeout).Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
	})
}

// shortWriter is a net.Conn that takes less than it says.
type shortWriter struct{ net.Conn }

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// T-G11: what was not written was not written, whatever a net.Conn says.
func TestShortWriteIsAnError(t *testing.T) {
	ours, _ := pipe(t)
	if n, err := socket.New(shortWriter{ours}, 0).Write([]byte("frame")); n != 2 || err != io.ErrShortWrite {
		t.Errorf("got %d, %v", n, err)
	}
}
