package server_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// The first byte of a client's message is its request to the handler. A number
// follows, which counts the messages of the connection.
const (
	askEcho byte = iota
	askSlowEcho
	askPanic
	askBroadcast
	askCloseElsewhere
	askCutElsewhere
	broadcasted
)

// stress is the server's side. It compares the events of every connection with
// the expected ones.
type stress struct {
	t              *testing.T
	opened, closed atomic.Int64
	panics         atomic.Int64
	mu             sync.Mutex // guards conns
	conns          map[*server.Conn]*stressed
}

// stressed is one connection.
type stressed struct {
	inside atomic.Bool // a handler runs
	next   uint32
	over   bool
}

// during reports events that overlap, and events after Close.
func (s *stress) during(c *server.Conn, event func(*stressed)) {
	st := c.Value().(*stressed)
	if !st.inside.CompareAndSwap(false, true) {
		s.t.Error("two events at once")
	}
	defer st.inside.Store(false)
	if st.over {
		s.t.Error("an event after Close")
	}
	event(st)
}

func (s *stress) handler() server.Handler {
	return server.Handler{
		Open: func(c *server.Conn) {
			s.opened.Add(1)
			st := new(stressed)
			c.SetValue(st)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.conns[c] = st
		},
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			s.during(c, func(st *stressed) {
				if n := binary.BigEndian.Uint32(p[1:]); n != st.next {
					s.t.Errorf("received message %d, want %d", n, st.next)
				}
				st.next++
				s.answer(c, op, p)
			})
		},
		Close: func(c *server.Conn, _ wire.StatusCode, _ string) {
			s.during(c, func(st *stressed) { st.over = true })
			s.closed.Add(1)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.conns[c] == nil {
				s.t.Error("Close a second time")
			}
			delete(s.conns, c)
		},
	}
}

func (s *stress) answer(c *server.Conn, op wire.Opcode, p []byte) {
	switch p[0] {
	case askSlowEcho:
		time.Sleep(3 * time.Millisecond) // longer than a loop waits
	case askPanic:
		s.panics.Add(1)
		panic("as the client wished")
	case askBroadcast:
		server.Broadcast(s.some(20), wire.Binary, []byte{broadcasted})
	case askCloseElsewhere:
		go c.Close(4000, "elsewhere")
	case askCutElsewhere:
		go c.CloseNow()
	}
	c.Send(op, p) // the client sees an error
}

// some returns about n connections.
func (s *stress) some(n int) iter.Seq[*server.Conn] {
	return func(yield func(*server.Conn) bool) {
		s.mu.Lock()
		var some []*server.Conn
		for c := range s.conns {
			if some = append(some, c); len(some) == n {
				break
			}
		}
		s.mu.Unlock()
		for _, c := range some {
			if !yield(c) {
				return
			}
		}
	}
}

// client is the life of one client: it sends requests, in random pieces, checks
// that all echoes arrive in order, and ends in a random way.
func (s *stress) client(r *running, rnd *rand.Rand) error {
	nc, err := r.dialer()
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(nc)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 101 {
		return fmt.Errorf("handshake: %v", err)
	}

	messages := 1 + rnd.IntN(20)
	var out []byte
	mayEnd := false
	for i := range messages {
		ask := askEcho
		switch n := rnd.IntN(100); {
		case n < 5:
			ask = askSlowEcho
		case n < 8:
			ask = askBroadcast
		case n < 10 && i == messages-1:
			ask, mayEnd = []byte{askPanic, askCloseElsewhere, askCutElsewhere}[rnd.IntN(3)], true
		}
		p := binary.BigEndian.AppendUint32([]byte{ask}, uint32(i))
		if rnd.IntN(20) == 0 {
			p = append(p, make([]byte, rnd.IntN(200_000))...)
		}
		out = wire.AppendFrame(out, wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: wire.MaskingKey(rnd.Uint32())}, p)
	}
	end := rnd.IntN(4)
	switch end {
	case 0, 1: // a closing handshake
		out = wire.AppendFrame(out, wire.Header{Fin: true, Opcode: wire.Close, Masked: true}, []byte{0x03, 0xe8})
	case 2: // half of a frame, and then an end
		out = append(out, 0x82, 0xfe, 0x10)
	case 3: // a reset, at any point
		defer nc.(*net.TCPConn).SetLinger(0)
	}
	sent := make(chan error, 1)
	go func() {
		for len(out) > 0 {
			n := min(len(out), 1+rnd.IntN(1+rnd.IntN(1+rnd.IntN(100_000))))
			if _, err := nc.Write(out[:n]); err != nil {
				sent <- err
				return
			}
			out = out[n:]
		}
		sent <- nil
	}()
	defer func() { nc.Close(); <-sent }()

	buf := make([]byte, 0, 300_000)
	for next := 0; ; {
		for {
			f, n, err := wire.DecodeFrame(buf)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			switch {
			case f.Opcode == wire.Close:
				if next < messages && !mayEnd {
					return fmt.Errorf("a Close % x after %d of %d echoes", f.Payload, next, messages)
				}
				return nil
			case f.Payload[0] == broadcasted:
			default:
				if got := binary.BigEndian.Uint32(f.Payload[1:]); int(got) != next {
					return fmt.Errorf("received echo %d, want %d", got, next)
				}
				next++
			}
			buf = append(buf[:0], buf[n:]...)
		}
		if next == messages && end >= 2 && !mayEnd || next > 0 && end == 3 {
			return nil
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			if mayEnd || next == messages {
				return nil
			}
			return fmt.Errorf("after %d of %d echoes: %w", next, messages, err)
		}
	}
}

// Thousands of connections that open, send in pieces, stall, reset, and are
// closed by other goroutines, to handlers that sleep, panic and broadcast. No
// message is lost, duplicated or out of order, events do not overlap, Close is
// called once after Open, and no goroutine or descriptor is left.
func TestStress(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		before := usage.Files()
		s := &stress{t: t, conns: make(map[*server.Conn]*stressed)}
		srv := &server.Server{Handler: s.handler(), Log: func(err error) {
			var p *server.PanicError
			var refused *server.RefusedError
			if !errors.As(err, &p) && !errors.As(err, &refused) {
				t.Errorf("reported: %v", err)
			}
		}}
		r := start(t, srv)
		const clients, together = 3000, 100
		var all sync.WaitGroup
		var turn atomic.Int64
		for worker := range together {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(worker), 1))
				for turn.Add(1) <= clients && !t.Failed() {
					check.OK(t, s.client(r, rnd))
				}
			})
		}
		all.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		check.OK(t, r.Shutdown(ctx))
		if s.opened.Load() != s.closed.Load() || len(s.conns) != 0 {
			t.Errorf("%d connections were opened, %d closed, %d are left", s.opened.Load(), s.closed.Load(), len(s.conns))
		}
		if s.panics.Load() == 0 {
			t.Error("no handler panicked")
		}
		for range 100 { // the kernel closes in the background
			if usage.Files() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d files are open, %d were at first", usage.Files(), before)
	})
}
