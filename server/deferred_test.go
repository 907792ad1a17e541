package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// The tests of this file are about output of a handler to other connections,
// which a loop may defer while it handles more messages.

// texts returns n numbered texts of a client.
func texts(n int) (all []string) {
	for i := range n {
		all = append(all, text(fmt.Sprint(i)))
	}
	return all
}

// others starts a server whose handler calls message, and opens connections: the
// client of the first sends, the others receive.
func others(t *testing.T, start starter, n int, s *server.Server, message func(c *server.Conn, to []*server.Conn, p []byte)) (from *peer, peers []*peer, rec *recorder) {
	t.Helper()
	var to []*server.Conn
	s.Handler.Message = func(c *server.Conn, _ wire.Opcode, p []byte) { message(c, to, p) }
	r, rec := recorded(t, start, s)
	for range n {
		peers = append(peers, r.open(t))
		to = append(to, rec.conn())
	}
	from = r.open(t)
	rec.conn()
	return from, peers, rec
}

// Broadcasts and single messages of a handler reach other connections in the
// order of the calls, also if one of them is sent by another goroutine.
func TestMessagesToOthersAreInOrder(t *testing.T) {
	const messages = 16
	eachLoop(t, func(t *testing.T, start starter) {
		from, peers, _ := others(t, start, 3, &server.Server{}, func(c *server.Conn, to []*server.Conn, p []byte) {
			check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
			for i, other := range to {
				check.OK(t, other.SendText(fmt.Sprintf("%s to %d", p, i)))
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				check.OK(t, to[0].SendText("of another goroutine"))
			}()
			<-done
			check.OK(t, to[0].SendPing([]byte("?")))
			check.OK(t, c.Send(wire.Text, p))
		})
		from.send(texts(messages)...)
		for i := range messages {
			from.want(fmt.Sprintf(`text "%d"`, i))
			for k, p := range peers {
				p.want(fmt.Sprintf(`text "%d"`, i), fmt.Sprintf(`text "%d to %d"`, i, k))
			}
			peers[0].want(`text "of another goroutine"`, `ping "?"`)
		}
	})
}

// Messages whose write is deferred are no reason to abort a client, or to drop
// messages: the client has not had a chance to read them. Buffered is 0, because
// the kernel accepts them, and Writable is not called.
func TestDeferredMessagesAreNoSlowClient(t *testing.T) {
	const messages, size = 40, 1000
	for name, policy := range map[string]server.SlowPolicy{
		"close": server.SlowClose, "drop newest": server.SlowDropNewest, "drop oldest": server.SlowDropOldest, "block": server.SlowBlock,
	} {
		t.Run(name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				var writable atomic.Int32
				s := &server.Server{MaxBacklog: 2 * size, SlowPolicy: policy}
				s.Handler.Writable = func(*server.Conn) { writable.Add(1) }
				from, peers, _ := others(t, start, 2, s, func(c *server.Conn, to []*server.Conn, p []byte) {
					check.OK(t, server.Broadcast(slices.Values(to), wire.Text, append(p, make([]byte, size-len(p))...)))
					if n := to[1].Buffered(); n != 0 {
						t.Errorf("%d bytes buffered", n)
					}
				})
				from.send(texts(messages)...)
				for i := range messages {
					for _, p := range peers {
						f, err := p.next()
						if got, _, _ := strings.Cut(string(f.Payload), "\x00"); err != nil || got != fmt.Sprint(i) {
							t.Fatalf("received %q and %v, want %d", got, err, i)
						}
					}
				}
				from.send(closing(1000, ""))
				from.want(`close 1000 ""`)
				if n := writable.Load(); n != 0 {
					t.Errorf("Writable was called %d times", n)
				}
			})
		})
	}
}

// A handler that blocks after a broadcast does not delay it.
func TestBroadcastOfAHandlerThatBlocks(t *testing.T) {
	for _, most := range []int{10, 1} {
		eachLoop(t, func(t *testing.T, start starter) {
			received := make(chan struct{})
			s := &server.Server{MaxBlocked: most}
			from, peers, _ := others(t, start, 2, s, func(c *server.Conn, to []*server.Conn, p []byte) {
				check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
				<-received
			})
			from.send(texts(4)...)
			for i := range 4 {
				for _, p := range peers {
					p.want(fmt.Sprintf(`text "%d"`, i))
				}
				received <- struct{}{}
			}
		})
	}
}

// Messages that a handler has sent to others before it panics or ends its
// goroutine reach them.
func TestBroadcastOfAHandlerThatFails(t *testing.T) {
	for name, failing := range failings {
		t.Run(name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				log := func(err error) {
					if !isA[*server.PanicError](err) {
						t.Errorf("reported %v", err)
					}
				}
				from, peers, _ := others(t, start, 2, &server.Server{Log: log}, func(c *server.Conn, to []*server.Conn, p []byte) {
					check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
					if string(p) == "3" {
						failing.fail()
					}
				})
				from.send(texts(10)...)
				for i := range 4 {
					for _, p := range peers {
						p.want(fmt.Sprintf(`text "%d"`, i))
					}
				}
				from.wantClose(`close 1011 ""`, closing(1011, ""))
			})
		})
	}
}

// A handler ends other connections: Close sends the messages before it, and
// nothing follows it. CloseNow ends the transport.
func TestEndAfterMessagesToOthers(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		from, peers, _ := others(t, start, 3, &server.Server{}, func(c *server.Conn, to []*server.Conn, p []byte) {
			check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
			if string(p) == "1" {
				check.OK(t, to[0].Close(wire.GoingAway, "bye"))
				check.OK(t, to[1].CloseNow())
				if err := to[0].SendText("late"); err == nil {
					t.Error("a message was sent after Close")
				}
			}
		})
		from.send(texts(4)...)
		peers[0].want(`text "0"`, `text "1"`)
		peers[0].wantClose(`close 1001 "bye"`, closing(wire.GoingAway, "bye"))
		if b, _ := peers[1].rest(); strings.Contains(string(b), "2") {
			t.Errorf("received % x after CloseNow", b)
		}
		peers[2].want(`text "0"`, `text "1"`, `text "2"`, `text "3"`)
	})
}

// Shutdown sends Close frames behind messages that a handler has broadcast.
func TestShutdownAfterABroadcast(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		ended := make(chan error, 1)
		s := &server.Server{}
		from, peers, _ := others(t, start, 2, s, func(c *server.Conn, to []*server.Conn, p []byte) {
			check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
			if string(p) == "2" {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer cancel()
					ended <- s.Shutdown(ctx)
				}()
			}
		})
		from.send(texts(3)...)
		for _, p := range peers {
			p.want(`text "0"`, `text "1"`, `text "2"`)
			p.wantClose(`close 1001 ""`, closing(wire.GoingAway, ""))
		}
		from.wantClose(`close 1001 ""`, closing(wire.GoingAway, ""))
		check.OK(t, result(t, ended))
	})
}

// A broadcast of a handler arrives whole with Server.BatchedSends, whether the
// system has io_uring or not.
func TestBatchedSends(t *testing.T) {
	t.Parallel()
	const receivers = 40
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{BatchedSends: true}
		from, peers, _ := others(t, start, receivers, s, func(_ *server.Conn, to []*server.Conn, p []byte) {
			check.OK(t, server.Broadcast(slices.Values(to), wire.Text, p))
		})
		from.send(texts(3)...)
		for i := range 3 {
			for _, p := range peers {
				p.want(fmt.Sprintf(`text "%d"`, i))
			}
		}
		if n := s.Stats().BatchedSends; n > 3*receivers {
			t.Errorf("%d batched sends of %d", n, 3*receivers)
		}
	})
}
