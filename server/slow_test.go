package server_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// numbered returns a message that begins with its number.
func numbered(i int) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 0, numberedSize), uint32(i))[:numberedSize]
}

// More than enough numbered messages exceed the kernel buffers of a client.
const (
	numberedSize = 64 << 10
	enough       = 40
)

// number reads the next numbered message. It skips Pings.
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
		return server.Broadcast(only(c), wire.Binary, p)
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

// By default a connection with a full backlog is aborted. No sender blocks, and
// the memory is limited to the backlog and one message (T-C02, T-C09).
func TestSlowClose(t *testing.T) {
	t.Parallel()
	eachSlow(t, func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string) {
		const limit = 1 << 20
		c, _, rec := opened(t, start, &server.Server{MaxBacklog: limit, WriteTimeout: -1})
		var err error
		for i := 0; i < enough && err == nil && c.State() == server.Open; i++ {
			if n := c.Buffered(); n > limit {
				t.Fatalf("%d bytes are buffered", n)
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
		eventually(t, "an empty backlog", func() bool { return c.Buffered() == 0 })
	})
}

// SlowDropNewest drops the messages that exceed the backlog. The others arrive
// in order.
func TestSlowDropNewest(t *testing.T) {
	t.Parallel()
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
			t.Fatal("no message was dropped")
		}
		if err := c.SendPing([]byte("!")); err != nil { // control frames are exempt (6455-5.5.2-b)
			t.Error(err)
		}
		pinged := false
		for len(sent) > 0 || !pinged { // a Ping may overtake broadcasts
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
		eventually(t, "an empty backlog", func() bool { return c.Buffered() == 0 })
		check.OK(t, send(c, numbered(enough)))
		if got := p.number(); got != enough {
			t.Errorf("received %d", got)
		}
		if st := s.Stats(); st.Dropped != uint64(dropped) || st.Cut != 0 {
			t.Errorf("%d dropped, %d cut", st.Dropped, st.Cut)
		}
	})
}

// SlowDropOldest drops the oldest messages of the send queue: the others arrive
// in order, the last one included, and the dropped ones are counted.
func TestSlowDropOldest(t *testing.T) {
	t.Parallel()
	eachSlow(t, func(t *testing.T, start starter, send func(c *server.Conn, p []byte) error, way string) {
		if way == "SendFragment" {
			return // is not queued: see TestFragmentsWithSlowDropOldest
		}
		const limit = 1 << 20
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, p, _ := opened(t, start, s)
		for i := range enough {
			check.Must(t, send(c, numbered(i)))
			if n := c.Buffered(); n > limit+2*numberedSize {
				t.Fatalf("%d bytes are buffered", n)
			}
		}
		dropped := int(s.Stats().Dropped)
		if dropped == 0 {
			t.Fatal("no message was dropped")
		}
		if err := c.Close(4000, ""); err != nil { // follows the buffered messages
			t.Error(err)
		}
		last := -1
		for range enough - dropped {
			i := p.number()
			if i <= last {
				t.Fatalf("received message %d after %d", i, last)
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

// A fragmented message cannot be dropped within: it follows the buffered
// messages, and blocks no sender.
func TestFragmentsWithSlowDropOldest(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, p, _ := opened(t, start, s)
		for i := range enough {
			c.Send(wire.Binary, numbered(i))
		}
		for i, part := range []string{"a", "b", "c"} {
			check.Must(t, c.SendFragment(wire.Text, []byte(part), i == 2))
		}
		for range enough - int(s.Stats().Dropped) {
			p.number()
		}
		p.want(`text "a" +`, `continuation "b" +`, `continuation "c"`)
	})
}

// In the blocking style a sender blocks for its own client only. SlowBlock does
// the same in the event style.
func TestSlowBlock(t *testing.T) {
	t.Parallel()
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
							t.Errorf("%d bytes are buffered", n)
						}
					}
				}
				s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, Handler: server.Handler{Serve: work}}
				if style == "SlowBlock" {
					s.SlowPolicy = server.SlowBlock
					s.Handler = server.Handler{Open: func(c *server.Conn) { go work(c) }}
				}
				p := start(t, s).open(t)
				eventually(t, "a backlog", func() bool { return s.Stats().Backlog > 0 })
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

// mostRead is the maximum size of a read from a client, in bytes.
const mostRead = 256 << 10

// mostHead is the allowance for headers and control frames above the limit, in
// bytes.
const mostHead = 64 << 10

// A message larger than the backlog is buffered in parts while its sender
// blocks.
func TestBlockedSenderBuffersNoMoreThanTheBacklog(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		const limit, size = 100_000, 4 << 20
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, Handler: server.Handler{Serve: func(c *server.Conn) {
			c.Send(wire.Binary, make([]byte, size))
		}}}
		p := start(t, s).open(t)
		eventually(t, "a backlog", func() bool { return s.Stats().Backlog > 0 })
		p.want(fmt.Sprintf("binary %d bytes", size))
		if peak := s.Stats().BacklogPeak; peak > limit+mostHead {
			t.Errorf("%d bytes were buffered", peak)
		}
	})
}

// Clients that do not read use at most MaxTotalBacklog and a message each. A
// client that reads is served.
func TestMaxTotalBacklog(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		const clients, limit = 10, 4 << 20
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), MaxTotalBacklog: limit, MaxBacklog: -1, WriteTimeout: -1}
		r := start(t, s)
		reads := r.open(t)
		for range clients {
			r.open(t)
		}
		eventually(t, "all connections open", func() bool { return len(slices.Collect(s.Conns())) == clients+1 })
		for i := range enough {
			s.Broadcast(wire.Binary, numbered(i))
			if got := reads.number(); got != i {
				t.Fatalf("received %d, want %d", got, i)
			}
		}
		eventually(t, "clients that do not read aborted", func() bool { return s.Stats().Cut > 0 })
		if st := s.Stats(); st.BacklogPeak > limit+(clients+1)*(128<<10+2*numberedSize) {
			t.Errorf("%d bytes were buffered", st.BacklogPeak)
		}
		var total *server.BacklogError
		if err := rec.failure(); !errors.As(err, &total) || !total.Total || total.Max != limit || !strings.Contains(err.Error(), "exceeds MaxTotalBacklog (") {
			t.Errorf("%v", err)
		}
	})
}

// Writable is called when a client has read all of its backlog, in order with
// the other events.
func TestWritable(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		t.Parallel()
		var inside atomic.Int32
		var drains atomic.Int32
		alone := func(f func()) {
			if inside.Add(1) != 1 {
				t.Error("two handlers at once")
			}
			runtime.Gosched() // to a second handler
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
		between := strings.Repeat(text("in between"), 10)
		for range 2 {
			before := drains.Load()
			for i := range enough {
				check.Must(t, c.Send(wire.Binary, numbered(i)))
			}
			if c.Buffered() == 0 {
				t.Fatal("the backlog is empty")
			}
			for range enough {
				p.send(between) // the handlers run while the backlog becomes empty
				p.number()
			}
			eventually(t, "a call of Writable and an empty backlog", func() bool { return drains.Load() > before && c.Buffered() == 0 })
		}
	})
}

// A Writable that panics or ends the goroutine ends the connection like any
// handler. Without epoll the connection used to stay open until the client
// ended it.
func TestWritableThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	eachAtOnce(t, failings, func(t *testing.T, how failing) {
		eachAtOnce(t, withServeTLS(loops), func(t *testing.T, start starter) {
			r, rec := recorded(t, start, &server.Server{Handler: server.Handler{Writable: func(*server.Conn) { how.fail() }}, MaxBacklog: -1, WriteTimeout: patience})
			p := r.open(t)
			c := rec.conn()
			for i := 0; c.Buffered() == 0; i++ {
				c.Send(wire.Binary, numbered(i))
			}
			for { // the number of messages before Writable depends on the client's first read
				f, err := p.next()
				check.Must(t, err)
				if f.Opcode == wire.Close {
					if got := show(f); got != `close 1011 ""` {
						t.Errorf("received %s", got)
					}
					break
				}
			}
			rec.want("open", "failed 1011", `close 1006 ""`)
			if _, plain := p.nc.(*net.TCPConn); !plain { // a plain one ends without its client
				p.nc.Close()
			}
			check.OK(t, r.Shutdown(t.Context()))
			if p := takeOne[*server.PanicError](t, r.log); p != nil && p.Value != how.value {
				t.Errorf("reported %v", p)
			}
		})
	})
}

// The server pauses reading from a client that sends and does not read the
// answers. No message is lost, and the memory is limited to half the backlog
// and one read.
func TestReadingPausesForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
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
		eventually(t, "a backlog", func() bool { return s.Stats().Backlog > limit/8 })
		for i := range enough {
			if got := p.number(); got != i {
				t.Fatalf("received %d, want %d", got, i)
			}
		}
		all.Wait()
		if st := s.Stats(); st.Cut != 0 || st.BacklogPeak > limit/2+mostRead+mostHead {
			t.Errorf("%d bytes were buffered, %d connections aborted", st.BacklogPeak, st.Cut)
		}
	})
}

// With SlowDropOldest, Send returns an error after the server's Close, also
// while output is buffered. The message used to enter the send queue and be
// lost, and Send returned nil.
func TestSlowDropOldestRefusesMessagesAfterClose(t *testing.T) {
	prepared, err := server.Prepare(wire.Text, []byte("late"))
	check.Must(t, err)
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, _, _ := opened(t, start, s)
		for range enough { // a smaller backlog may end: the kernel may have been about to accept more
			check.Must(t, c.Send(wire.Binary, numbered(0)))
		}
		check.Must(t, c.Close(wire.GoingAway, ""))
		if c.Buffered() == 0 {
			t.Fatal("the backlog is empty")
		}
		for name, send := range map[string]func() error{
			"Send":         func() error { return c.Send(wire.Text, []byte("late")) },
			"SendText":     func() error { return c.SendText("late") },
			"SendPrepared": func() error { return c.SendPrepared(prepared) },
		} {
			if err := send(); !errors.Is(err, server.ErrClosed) {
				t.Errorf("%s returned %v", name, err)
			}
		}
	})
}
