package server_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// numbered returns a message that begins with its number.
func numbered(i int) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, numberedSize), uint32(i))[:numberedSize]
}

// More of them than enough are larger than what the system keeps for a client.
const (
	numberedSize = 64 << 10
	enough       = 80
)

// number reads the next message that is numbered. Pings are passed over.
func (p *peer) number() int {
	p.t.Helper()
	for {
		f, err := p.next()
		if err != nil {
			p.t.Fatal(err)
		}
		if f.Opcode == wire.Ping {
			continue
		}
		if f.Opcode != wire.Binary || len(f.Payload) != numberedSize {
			p.t.Fatalf("received %s", show(f))
		}
		return int(binary.BigEndian.Uint32(f.Payload))
	}
}

// sendings are the ways to send one message to one connection.
var sendings = map[string]func(c *server.Conn, p []byte) error{
	"Send": func(c *server.Conn, p []byte) error { return c.Send(wire.Binary, p) },
	"SendPrepared": func(c *server.Conn, p []byte) error {
		m, err := server.Prepare(wire.Binary, p)
		if err != nil {
			return err
		}
		return c.SendPrepared(m)
	},
	"SendFragment": func(c *server.Conn, p []byte) error { return c.SendFragment(wire.Binary, p, true) },
	"Broadcast": func(c *server.Conn, p []byte) error {
		return server.Broadcast(func(yield func(*server.Conn) bool) { yield(c) }, wire.Binary, p)
	},
}

// eachSlow runs test on each loop and over TLS with each way to send.
func eachSlow(t *testing.T, test func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string)) {
	for loop, start := range withTLS(loops) {
		for _, way := range slices.Sorted(maps.Keys(sendings)) {
			t.Run(loop+"/"+way, func(t *testing.T) { test(t, start, sendings[way], way) })
		}
	}
}

// By default a connection is cut for which there is too much. Nobody waits for
// that, and it costs the budget and one message at most (T-C02, T-C09).
func TestSlowClose(t *testing.T) {
	eachSlow(t, func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string) {
		const limit = 1 << 20
		c, _, rec := opened(t, start, &server.Server{MaxBacklog: limit, WriteTimeout: -1})
		var err error
		for i := 0; i < enough && err == nil && c.State() == server.Open; i++ {
			if n := c.Buffered(); n > limit {
				t.Fatalf("%d bytes wait", n)
			}
			err = send(c, numbered(i))
		}
		rec.want("open", "lost", `close 1006 ""`)
		errs := []error{c.Err(), rec.failure(), send(c, numbered(0))}
		if way == "Broadcast" {
			errs = errs[:2]
		} else {
			errs = append(errs, err)
		}
		for _, err := range errs {
			var lost *server.LostError
			var why *server.BacklogError
			if !errors.As(err, &lost) || !errors.As(err, &why) || !errors.Is(err, net.ErrClosed) ||
				why.Max != limit || why.Waiting > limit || why.Waiting+why.Size <= limit || why.Total || why.Dropped {
				t.Errorf("%v", err)
			}
		}
		eventually(t, "nothing waits", func() bool { return c.Buffered() == 0 })
	})
}

// What is too much is dropped; all else arrives, in order.
func TestSlowDropNewest(t *testing.T) {
	eachSlow(t, func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string) {
		const limit = 1 << 20
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, SlowPolicy: server.SlowDropNewest}
		c, p, _ := opened(t, start, s)
		var sent []int
		dropped := 0
		for i := range enough {
			before := s.Stats().Dropped
			err := send(c, numbered(i))
			var why *server.BacklogError
			if s.Stats().Dropped == before {
				sent = append(sent, i)
			} else if dropped++; way != "Broadcast" && (!errors.As(err, &why) || !why.Dropped || why.Max != limit || errors.Is(err, net.ErrClosed)) {
				t.Fatalf("%v", err)
			}
		}
		if dropped == 0 {
			t.Fatal("nothing was dropped")
		}
		if err := c.SendPing([]byte("!")); err != nil { // control frames find room (6455-5.5.2-b)
			t.Error(err)
		}
		pinged := false
		for len(sent) > 0 || !pinged { // a Ping need not wait for broadcasts
			f, err := p.next()
			switch {
			case err != nil:
				t.Fatal(err)
			case f.Opcode == wire.Ping:
				pinged = pinged || string(f.Payload) == "!"
			case f.Opcode != wire.Binary || len(sent) == 0 || int(binary.BigEndian.Uint32(f.Payload)) != sent[0]:
				t.Fatalf("received %s", show(f))
			default:
				sent = sent[1:]
			}
		}
		eventually(t, "nothing waits", func() bool { return c.Buffered() == 0 })
		if err := send(c, numbered(enough)); err != nil {
			t.Error(err)
		}
		if got := p.number(); got != enough {
			t.Errorf("received %d", got)
		}
		if st := s.Stats(); st.Dropped != uint64(dropped) || st.Cut != 0 {
			t.Errorf("%d dropped, %d cut", st.Dropped, st.Cut)
		}
	})
}

// The oldest of what waits makes room: what arrives is in order, ends with the
// last, and what does not arrive has been counted.
func TestSlowDropOldest(t *testing.T) {
	eachSlow(t, func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string) {
		if way == "SendFragment" {
			return // does not wait in the send queue: see TestFragmentsWithSlowDropOldest
		}
		const limit = 1 << 20
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, p, _ := opened(t, start, s)
		for i := range enough {
			if err := send(c, numbered(i)); err != nil {
				t.Fatal(err)
			}
			if n := c.Buffered(); n > limit+2*numberedSize {
				t.Fatalf("%d bytes wait", n)
			}
		}
		dropped := int(s.Stats().Dropped)
		if dropped == 0 {
			t.Fatal("nothing was dropped")
		}
		if err := c.Close(4000, ""); err != nil { // after all that waits
			t.Error(err)
		}
		last := -1
		for range enough - dropped {
			i := p.number()
			if i <= last {
				t.Fatalf("%d came after %d", i, last)
			}
			last = i
		}
		if last != enough-1 {
			t.Errorf("the last is %d", last)
		}
		p.want(`close 4000 ""`)
		p.send(closing(4000, ""))
		if st := s.Stats(); st.Dropped != uint64(dropped) || st.Cut != 0 {
			t.Errorf("%d dropped, %d cut", st.Dropped, st.Cut)
		}
	})
}

// A message in fragments cannot be dropped in its middle: it comes after all that
// waits, and waits for nobody.
func TestFragmentsWithSlowDropOldest(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, p, _ := opened(t, start, s)
		for i := range enough {
			c.Send(wire.Binary, numbered(i))
		}
		for i, part := range []string{"a", "b", "c"} {
			if err := c.SendFragment(wire.Text, []byte(part), i == 2); err != nil {
				t.Fatal(err)
			}
		}
		for range enough - int(s.Stats().Dropped) {
			p.number()
		}
		p.want(`text "a" +`, `continuation "b" +`, `continuation "c"`)
	})
}

// In the blocking style a sender waits for its client, and for nobody else; with
// SlowBlock in the other style too.
func TestSlowBlock(t *testing.T) {
	const limit = 1 << 20
	for loop, start := range withTLS(loops) {
		for _, style := range []string{"Serve", "SlowBlock"} {
			t.Run(loop+"/"+style, func(t *testing.T) {
				var all sync.WaitGroup
				all.Add(1)
				work := func(c *server.Conn) {
					defer all.Done()
					for i := range enough {
						if err := c.Send(wire.Binary, numbered(i)); err != nil {
							t.Error(err)
							return
						}
						if n := c.Buffered(); n > limit+mostHead {
							t.Errorf("%d bytes wait", n)
						}
					}
				}
				s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, Handler: server.Handler{Serve: work}}
				if style == "SlowBlock" {
					s.SlowPolicy = server.SlowBlock
					s.Handler = server.Handler{Open: func(c *server.Conn) { go work(c) }}
				}
				p := start(t, s).open(t)
				eventually(t, "something waits", func() bool { return s.Stats().Backlog > 0 })
				for i := range enough {
					if got := p.number(); got != i {
						t.Fatalf("received %d, want %d", got, i)
					}
				}
				all.Wait()
				if st := s.Stats(); st.Dropped != 0 || st.Cut != 0 {
					t.Errorf("%d dropped, %d cut", st.Dropped, st.Cut)
				}
			})
		}
	}
}

// mostRead is how much is read from a client at once, in bytes.
const mostRead = 256 << 10

// mostHead is what headers and control frames may have in bytes beside the limit.
const mostHead = 64 << 10

// A message that is larger than the backlog does not pass it whole when its sender
// waits.
func TestSenderWhoWaitsKeepsNoMoreThanTheBacklog(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		const limit, size = 100_000, 20 << 20
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, Handler: server.Handler{Serve: func(c *server.Conn) {
			c.Send(wire.Binary, make([]byte, size))
		}}}
		p := start(t, s).open(t)
		eventually(t, "something waits", func() bool { return s.Stats().Backlog > 0 })
		p.want(fmt.Sprintf("binary %d bytes", size))
		if peak := s.Stats().BacklogPeak; peak > limit+mostHead {
			t.Errorf("%d bytes have waited", peak)
		}
	})
}

// However many do not read, together they cost no more than MaxTotalBacklog and a
// message each; and who reads is served.
func TestMaxTotalBacklog(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		const clients, limit = 10, 4 << 20
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), MaxTotalBacklog: limit, MaxBacklog: -1, WriteTimeout: -1}
		r := start(t, s)
		reads := r.open(t)
		for range clients {
			r.open(t)
		}
		eventually(t, "all are there", func() bool { return len(slices.Collect(s.Conns())) == clients+1 })
		for i := range enough {
			s.Broadcast(wire.Binary, numbered(i))
			if got := reads.number(); got != i {
				t.Fatalf("received %d, want %d", got, i)
			}
		}
		eventually(t, "those that do not read are cut", func() bool { return s.Stats().Cut > 0 })
		if st := s.Stats(); st.BacklogPeak > limit+(clients+1)*(128<<10+2*numberedSize) {
			t.Errorf("%d bytes have waited", st.BacklogPeak)
		}
		var total *server.BacklogError
		if err := rec.failure(); !errors.As(err, &total) || !total.Total || total.Max != limit || !strings.Contains(err.Error(), "exceeds MaxTotalBacklog (") {
			t.Errorf("%v", err)
		}
	})
}

// The program is told when a client has taken all that waited for it, in turn with
// all else that it is told.
func TestDrain(t *testing.T) {
	for loop, start := range withTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			var inside atomic.Int32
			var drains atomic.Int32
			alone := func(f func()) {
				if inside.Add(1) != 1 {
					t.Error("two handlers at once")
				}
				f()
				inside.Add(-1)
			}
			rec := newRecorder(t)
			h := rec.handler()
			h.Message = func(*server.Conn, wire.Opcode, []byte) { alone(func() {}) }
			h.Writable = func(c *server.Conn) { alone(func() { drains.Add(1) }) }
			r := start(t, &server.Server{Handler: h, MaxBacklog: -1, WriteTimeout: patience})
			p := r.open(t)
			c := rec.conn()
			p.meanwhile(func(p *peer) {
				for p.trySend(text("in between")) == nil {
				}
			})
			for range 3 {
				before := drains.Load()
				for i := range enough {
					if err := c.Send(wire.Binary, numbered(i)); err != nil {
						t.Fatal(err)
					}
				}
				if c.Buffered() == 0 {
					t.Fatal("nothing waits")
				}
				for range enough {
					p.number()
				}
				eventually(t, "Writable is called and nothing waits", func() bool { return drains.Load() > before && c.Buffered() == 0 })
			}
		})
	}
}

// A Writable that does not return is like any handler that does not. Without epoll it
// used to leave the connection open until the client ended it.
func TestDrainThatDoesNotReturn(t *testing.T) {
	for name, how := range failings {
		for loop, start := range withServeTLS(loops) {
			t.Run(name+"/"+loop, func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				h := rec.handler()
				h.Writable = func(*server.Conn) { how.fail() }
				r := start(t, &server.Server{Handler: h, MaxBacklog: -1, WriteTimeout: patience})
				p := r.open(t)
				c := rec.conn()
				for i := 0; c.Buffered() == 0; i++ {
					c.Send(wire.Binary, numbered(i))
				}
				for { // how much comes before goes by when the client has caught up for the first time
					f, err := p.next()
					if err != nil {
						t.Fatal(err)
					}
					if f.Opcode == wire.Close {
						if got := show(f); got != `close 1011 ""` {
							t.Errorf("received %s", got)
						}
						break
					}
				}
				rec.want("open", "failed 1011", `close 1006 ""`)
				if loop == "TLS" { // else the client does not end the connection
					p.nc.Close()
				}
				if err := r.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if p := takeOne[*server.PanicError](t, r.log); p != nil && p.Value != how.value {
					t.Errorf("reported %v", p)
				}
			})
		}
	}
}

// A client that sends and does not read the answers is not read from any more: it
// loses nothing, and costs no more than half the backlog and what was read at once.
func TestClientThatDoesNotReadIsNotReadFrom(t *testing.T) {
	for loop, start := range withTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			const limit = 1 << 20
			s := &server.Server{Handler: server.Handler{Message: echo}, MaxBacklog: limit, WriteTimeout: patience}
			p := start(t, s).open(t)
			var all sync.WaitGroup
			all.Go(func() {
				for i := range enough {
					p.send(frame(wire.Binary, string(numbered(i))))
				}
			})
			eventually(t, "something waits", func() bool { return s.Stats().Backlog > limit/8 })
			for i := range enough {
				if got := p.number(); got != i {
					t.Fatalf("received %d, want %d", got, i)
				}
			}
			all.Wait()
			if st := s.Stats(); st.Cut != 0 || st.BacklogPeak > limit/2+mostRead+mostHead {
				t.Errorf("%d bytes have waited, %d cut", st.BacklogPeak, st.Cut)
			}
		})
	}
}

// With every policy WriteTimeout ends the connection to a client that reads
// nothing at all.
func TestEveryPolicyEndsWithWriteTimeout(t *testing.T) {
	for _, policy := range []server.SlowPolicy{server.SlowDefault, server.SlowClose, server.SlowDropNewest, server.SlowDropOldest, server.SlowBlock} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder(t)
				served(t, &server.Server{Handler: rec.handler(), SlowPolicy: policy, WriteTimeout: 8 * time.Second}).open(t)
				c := rec.conn()
				timed(t, "cut", 8*time.Second, func() {
					for range 3 {
						if err := c.SendText("Hello"); err != nil {
							t.Error(err)
						}
					}
					rec.want("open", "lost", `close 1006 ""`)
				})
				wantTimeout(t, c.Err(), "WriteTimeout")
			})
		})
	}
}
