package endpoint_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// narrow is one direction of a transport that holds a few bytes.
type narrow struct {
	size int

	mu      sync.Mutex // guards the rest
	changed sync.Cond
	held    []byte
	closed  bool
}

func newNarrow(size int) *narrow {
	n := &narrow{size: size}
	n.changed.L = &n.mu
	return n
}

func (n *narrow) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for done := 0; done < len(p); {
		for len(n.held) == n.size && !n.closed {
			n.changed.Wait()
		}
		if n.closed {
			return done, net.ErrClosed
		}
		piece := min(len(p)-done, n.size-len(n.held))
		n.held = append(n.held, p[done:done+piece]...)
		done += piece
		n.changed.Broadcast()
	}
	return len(p), nil
}

func (n *narrow) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.held) == 0 && !n.closed {
		n.changed.Wait()
	}
	if len(n.held) == 0 {
		return 0, io.EOF
	}
	read := copy(p, n.held)
	n.held = append(n.held[:0], n.held[read:]...)
	n.changed.Broadcast()
	return read, nil
}

func (n *narrow) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.changed.Broadcast()
	return nil
}

// conversation is two endpoints over a narrow transport. They send messages and
// Pings to each other from several goroutines, receive meanwhile, and one or
// both of them close when all messages have arrived.
type conversation struct {
	transport int // bytes that it holds in each direction
	messages  int // of each writer
	size      int // of a message
	pings     int
	bothClose bool
}

const conversationWriters = 2 // at each end

func (c conversation) run(t *testing.T) {
	const patience = 30 * time.Second
	toServer, toClient := newNarrow(c.transport), newNarrow(c.transport)
	stalled := time.AfterFunc(patience, func() {
		t.Error("the two ends wait for each other")
		toServer.Close()
		toClient.Close()
	})
	defer stalled.Stop()

	var done sync.WaitGroup // both have sent and received all messages
	var ended sync.WaitGroup
	for _, role := range []endpoint.Role{endpoint.Client, endpoint.Server} {
		in, out := toServer, toClient
		if role == endpoint.Client {
			in, out = toClient, toServer
		}
		e := endpoint.New(out, endpoint.Config{Role: role, Background: func(f func()) { ended.Go(f) }})
		done.Add(1)
		ended.Go(func() { c.receive(t, e, in, done.Done) })
		c.send(t, e, &done)
		if role == endpoint.Client || c.bothClose {
			ended.Go(func() {
				done.Wait()
				_ = e.Close(wire.NormalClosure, "") // the peer's may have arrived first
			})
		}
	}
	ended.Wait()
}

func (c conversation) send(t *testing.T, e *endpoint.Endpoint, sending *sync.WaitGroup) {
	sending.Go(func() {
		for range c.pings {
			if err := e.Ping([]byte("are you there?")); err != nil {
				t.Errorf("Ping: %v", err)
				return
			}
		}
	})
	payload := []byte(strings.Repeat("x", c.size))
	for range conversationWriters {
		sending.Go(func() {
			for range c.messages {
				if err := e.Send(wire.Binary, payload); err != nil {
					t.Errorf("Send: %v", err)
					return
				}
			}
		})
	}
}

// receive receives until the peer's Close, and then reads and drops the rest,
// as a socket does.
func (c conversation) receive(t *testing.T, e *endpoint.Endpoint, in *narrow, complete func()) {
	complete = sync.OnceFunc(complete)
	defer complete()
	received := 0
	buf := make([]byte, 512)
	for e.Err() == nil {
		n, err := in.Read(buf)
		if err != nil {
			t.Errorf("after %d messages: %v", received, err)
			return
		}
		for _, ev := range receive(e, buf[:n]) {
			if ev.Kind == endpoint.KindMessage {
				received++
			}
			if ev.Kind == endpoint.KindFailed {
				t.Errorf("after %d messages: %v", received, ev.Err)
			}
		}
		if received == conversationWriters*c.messages {
			complete()
		}
	}
	in.Close()
}

// Both ends send more than the transport holds, Pings too, and both receive
// meanwhile. No deadlock may occur: neither of an end that answers a Ping while
// its writer waits for the peer, nor of one that writes the answer for a peer
// in the same state (6455-5.5.2-b, T-C07).
func TestBothEndsSendMoreThanTheTransportHolds(t *testing.T) {
	for name, c := range map[string]conversation{
		"large messages":    {transport: 1 << 10, messages: 30, size: 64 << 10, pings: 300},
		"small messages":    {transport: 64, messages: 4000, size: 300, pings: 6000},
		"medium messages":   {transport: 4 << 10, messages: 4000, size: 1000, pings: 1000},
		"nothing but Pings": {transport: 16, messages: 1, size: 0, pings: 5000},
	} {
		t.Run(name, c.run)
		c.bothClose = true
		t.Run(name+", both close", c.run)
	}
}
