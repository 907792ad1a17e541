//go:build !portable

package server

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
	"github.com/fibersock/fibersock/wire"
)

// Faults of the epoll loop, tested inside the package.

// A serving is a server on the epoll loop with its events.
type serving struct {
	*Server
	addr   string
	opened chan *Conn
	ended  chan error // the argument of Error
}

func newServing(t *testing.T, s *Server) *serving {
	t.Helper()
	r := &serving{Server: s, opened: make(chan *Conn, 1), ended: make(chan error, 1)}
	s.Handler.Open = func(c *Conn) { r.opened <- c }
	s.Handler.Error = func(_ *Conn, err error) { r.ended <- err }
	ln, err := sockbuf.Listen()
	check.Must(t, err)
	r.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
	})
	return r
}

// open returns both ends of a connection that has opened.
func (r *serving) open(t *testing.T) (*net.TCPConn, *Conn) {
	t.Helper()
	nc, err := sockbuf.Dial(r.addr)
	check.Must(t, err)
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	check.Must(t, check.Err(nc.Write([]byte(upgradeRequests["minimal"]))))
	c := <-r.opened
	last, b := "", make([]byte, 1)
	for last != "\r\n\r\n" { // the response ends with an empty line
		check.Must(t, check.Err(io.ReadFull(nc, b)))
		last = (last + string(b))[max(len(last)-3, 0):]
	}
	return nc.(*net.TCPConn), c
}

// message returns a message of a client.
func message(p string) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text, Masked: true}, []byte(p))
}

// Input buffered for Handler.Serve is not copied by each Receive: 136 KiB of
// small messages used to cost 241 MiB of garbage.
func TestInputThatWaitsForServeIsNotCopied(t *testing.T) {
	const messages = 20_000
	all := make(chan struct{})
	r := newServing(t, &Server{Handler: Handler{Serve: func(c *Conn) {
		buf := make([]byte, 0, 10)
		for n := 1; ; n++ {
			var err error
			if _, buf, err = c.ReceiveInto(t.Context(), buf[:0]); err != nil {
				return
			}
			if n == messages {
				close(all)
			}
		}
	}}})
	nc, _ := r.open(t)
	var b []byte
	for range messages {
		b = append(b, message("x")...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	check.Must(t, check.Err(nc.Write(b)))
	<-all
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes allocated for %d bytes", n, len(b))
	}
	nc.Close()
	<-r.ended
}

// An answer is sent while its handler blocks, although the watchdog has given
// the poller to another leader before the answers of the message were
// collected: the replaced leader collects none. Here a call of Handler.Writable
// makes the watchdog replace it.
func TestReplacedLeaderCollectsNothing(t *testing.T) {
	draining, drained, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := newServing(t, &Server{Handler: Handler{
		Message: func(c *Conn, op wire.Opcode, p []byte) {
			if string(p) == "much" {
				c.Send(op, make([]byte, 900<<10))
				return
			}
			c.Send(op, p)
			<-release
		},
		Writable: func(*Conn) {
			close(draining)
			<-drained
		},
	}})
	nc, _ := r.open(t)
	nc.Write(message("much"))
	io.CopyN(io.Discard, nc, 10+900<<10)
	<-draining
	nc.Write(message("?"))
	for r.Stats().HandOffs == 0 {
		time.Sleep(time.Millisecond)
	}
	close(drained)
	if _, err := io.ReadFull(nc, make([]byte, 3)); err != nil {
		t.Errorf("while the handler runs, the client gets %v", err)
	}
	close(release)
	nc.Close()
	<-r.ended
}
