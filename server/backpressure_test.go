package server_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// streaming is a handler that sends one large message in the blocking style.
func streaming(size int, returned chan<- error) server.Handler {
	return server.Handler{Serve: func(c *server.Conn) { returned <- c.Send(wire.Binary, make([]byte, size)) }}
}

// Messages of every size block on a full backlog. Messages of up to 127 bytes
// used to be treated as control frames, which do not block, and the backlog of
// a client that did not read grew without bound.
func TestSmallMessagesWaitForRoom(t *testing.T) {
	t.Parallel()
	for loop, start := range withServeTLS(loops) {
		for _, size := range []int{127, 128} {
			t.Run(fmt.Sprintf("%s/%d bytes", loop, size), func(t *testing.T) {
				const limit, messages = 64 << 10, 6000 // more than the kernel buffers
				done := make(chan int, 1)
				s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, Handler: server.Handler{Serve: func(c *server.Conn) {
					n := 0
					for n < messages && c.Send(wire.Binary, make([]byte, size)) == nil {
						n++
					}
					done <- n
				}}}
				p := start(t, s).open(t)
				eventually(t, "a blocked sender", func() bool { return s.Stats().Backlog > limit/2 })
				for range messages {
					if f, err := p.next(); err != nil || len(f.Payload) != size {
						t.Fatalf("received %d bytes and %v", len(f.Payload), err)
					}
				}
				if n := result(t, done); n != messages {
					t.Errorf("%d messages were sent", n)
				}
				if peak := s.Stats().BacklogPeak; peak > limit+mostHead {
					t.Errorf("the backlog had %d bytes", peak)
				}
			})
		}
	}
}

// A client that sends a Close while a large frame is buffered for it receives
// the rest of that frame and then the Close. Its handlers are called at once.
// The event loop used to block on the sender, and a few such clients stopped
// the server.
func TestCloseWhileASenderWaits(t *testing.T) {
	t.Parallel()
	for loop, start := range withTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			const limit, size = 64 << 10, 2 << 20
			returned, ended := make(chan error, 1), make(chan wire.StatusCode, 1)
			h := streaming(size, returned)
			h.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { ended <- code }
			s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, CloseTimeout: patience, Handler: h, MaxBlocked: 1}
			p := start(t, s).open(t)
			eventually(t, "a blocked sender", func() bool { return s.Stats().Backlog > limit/2 })
			p.send(closing(4000, "enough"))
			if code := result(t, ended); code != 4000 {
				t.Errorf("the handler got %v", code)
			}
			eventually(t, "an event loop that does not wait for the sender", func() bool { return s.Stats().Blocked == 0 })
			p.want(fmt.Sprintf("binary %d bytes", size), `close 4000 ""`)
			check.OKf(t, result(t, returned), "Send")
			p.wantEnd()
		})
	}
}

// Pongs, and a Close of the server, follow a frame that is buffered for the
// client.
func TestControlFramesFollowTheFrameThatWaits(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		const limit, size = 64 << 10, 2 << 20
		returned := make(chan error, 1)
		s := &server.Server{MaxBacklog: limit, WriteTimeout: patience, CloseTimeout: patience, Handler: streaming(size, returned)}
		p := start(t, s).open(t)
		eventually(t, "a blocked sender", func() bool { return s.Stats().Backlog > limit/2 })
		p.send(frame(wire.Ping, "1"), frame(wire.Ping, "2"))
		eventually(t, "all Pings received", func() bool { return s.Stats().Received.Pings == 2 })
		for c := range s.Conns() {
			check.OK(t, c.Close(wire.GoingAway, "later"))
			if c.State() != server.Closing {
				t.Errorf("the state is %v", c.State())
			}
		}
		p.want(fmt.Sprintf("binary %d bytes", size), `pong "1"`, `pong "2"`, `close 1001 "later"`)
		check.OKf(t, result(t, returned), "Send")
		p.send(closing(1001, ""))
		p.wantEnd()
	})
}

// MaxLifetime and CloseTimeout end a connection whose sender blocks, although
// its client reads slowly. The Close used to wait for the sender, for as long
// as the client liked.
func TestLifetimeEndsAConnectionWithABlockedSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan error, 1)
		s := &server.Server{MaxLifetime: time.Minute, CloseTimeout: time.Second, WriteTimeout: time.Minute, PingInterval: -1, MaxBacklog: 1000, Handler: streaming(100_000, returned)}
		p := served(t, s).open(t)
		end := make(chan time.Duration, 1)
		go func() {
			start := time.Now()
			for {
				time.Sleep(time.Second)
				if _, err := p.nc.Read(make([]byte, 10)); err != nil {
					end <- time.Since(start)
					return
				}
			}
		}()
		if took := <-end; took < 50*time.Second || took > 80*time.Second {
			t.Errorf("the connection lasted %v", took)
		}
		wantTimeout(t, <-returned, "CloseTimeout")
	})
}

// Heartbeats for a client that does not read need no goroutine each.
func TestHeartbeatsOfABlockedSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan error, 1)
		s := &server.Server{PingInterval: time.Second, PongTimeout: -1, WriteTimeout: time.Hour, MaxBacklog: 1000, Handler: streaming(100_000, returned)}
		p := served(t, s).open(t)
		time.Sleep(10 * time.Second)
		before := runtime.NumGoroutine()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("%d goroutines, %d before", now, before)
		}
		p.nc.Close()
		<-returned
	})
}

// The messages in the send queue leave Stats.Backlog when their connection
// ends. They used to stay counted, and MaxTotalBacklog filled up for good.
func TestBacklogIsZeroAfterTheEnd(t *testing.T) {
	t.Parallel()
	for loop, start := range withTLS(loops) {
		for _, policy := range []server.SlowPolicy{server.SlowClose, server.SlowDropNewest, server.SlowDropOldest, server.SlowBlock} {
			t.Run(fmt.Sprintf("%s/%d", loop, policy), func(t *testing.T) {
				rec := newRecorder(t)
				s := &server.Server{Handler: rec.handler(), SlowPolicy: policy, MaxBacklog: 256 << 10, WriteTimeout: patience}
				r := start(t, s)
				for range 3 {
					p := r.open(t)
					c := rec.conn()
					for i := range enough {
						if policy == server.SlowBlock {
							server.Broadcast(only(c), wire.Binary, numbered(i))
						} else {
							c.Send(wire.Binary, numbered(i))
						}
					}
					p.nc.Close()
					rec.want("open", "lost", `close 1006 ""`)
					server.Broadcast(only(c), wire.Binary, numbered(0))
				}
				eventually(t, "an empty backlog", func() bool { return s.Stats().Backlog == 0 })
			})
		}
	}
}

// A message refused by SlowClose is the last: no message follows it, and a
// Close of the client does not make the end clean. The connection used to
// continue until another goroutine aborted it, without the message.
func TestNothingFollowsAMessageThatSlowCloseRefuses(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = func(c *server.Conn, _ wire.Opcode, _ []byte) {
			var err error
			for range enough {
				if err = c.Send(wire.Binary, numbered(0)); err != nil {
					break
				}
			}
			next := c.SendText("next")
			if err == nil || next == nil || next.Error() != err.Error() || c.State() != server.Closed {
				t.Errorf("Send returned %v, the next %v, in state %v", err, next, c.State())
			}
		}
		s := &server.Server{Handler: h, MaxBacklog: 128 << 10}
		p := start(t, s).open(t)
		p.send(text("go"), closing(1000, ""))
		rec.want("open", "lost", `close 1006 ""`)
		if cut := s.Stats().Cut; cut != 1 {
			t.Errorf("%d connections are counted as aborted", cut)
		}
	})
}

// A broadcast does not block, also if it exceeds the backlog of a client whose
// senders block. One client that did not read used to delay it for
// WriteTimeout.
func TestBroadcastDoesNotWaitWhereSendersDo(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		returned, ended := make(chan struct{}), make(chan struct{})
		s := &server.Server{MaxBacklog: 64 << 10, WriteTimeout: -1, Handler: server.Handler{Serve: func(c *server.Conn) { <-ended }}}
		r := start(t, s)
		defer close(ended)
		r.open(t) // does not read
		eventually(t, "an open connection", func() bool { return s.Stats().Open == 1 })
		go func() {
			defer close(returned)
			check.OK(t, s.Broadcast(wire.Binary, make([]byte, 4<<20)))
		}()
		result(t, returned)
		for c := range s.Conns() {
			c.CloseNow()
		}
	})
}

// A Writable handler that sends and blocks is called again when the client has
// read that message, also if another goroutine has written it. Messages
// buffered for Serve are neither lost nor reordered.
func TestWritableThatBlocksAndSends(t *testing.T) {
	t.Parallel()
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		const messages = 20
		drained, waits := make(chan int, 10), make(chan struct{})
		got, proceed := make(chan string, messages), make(chan struct{})
		calls := 0
		s := &server.Server{MaxBacklog: -1, WriteTimeout: patience, Handler: server.Handler{
			Open: func(c *server.Conn) {
				for c.Buffered() == 0 {
					c.Send(wire.Binary, make([]byte, 64<<10))
				}
			},
			Writable: func(c *server.Conn) {
				calls++
				if drained <- calls; calls > 1 {
					return
				}
				for c.Buffered() == 0 {
					c.Send(wire.Binary, make([]byte, 64<<10))
				}
				close(waits)
				for c.Buffered() > 0 { // until another goroutine has written the message
					time.Sleep(time.Millisecond)
				}
			},
			Serve: func(c *server.Conn) {
				<-proceed
				for m, err := range c.Messages(t.Context()) {
					if err != nil {
						return
					}
					got <- m.Text()
				}
			},
		}}
		p := start(t, s).open(t)
		for i := range messages {
			p.send(text(fmt.Sprint(i)))
		}
		for len(drained) == 0 { // until Writable has filled the backlog again
			check.Must(t, p.more())
			p.in = nil
		}
		result(t, waits)
		p.meanwhile(func(p *peer) {
			for p.more() == nil {
				p.in = nil
			}
		})
		for i := 1; i <= 2; i++ {
			if n := result(t, drained); n != i {
				t.Fatalf("call %d of Writable, want %d", n, i)
			}
		}
		close(proceed)
		for i := range messages {
			if m := result(t, got); m != fmt.Sprint(i) {
				t.Fatalf("received %q, want %d", m, i)
			}
		}
		p.nc.Close()
	})
}
