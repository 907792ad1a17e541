package endpoint_test

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

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
	small := wstest.Faults{Buffer: c.transport}
	client, server := wstest.Pipe(wstest.Plan{ToServer: small, ToClient: small})
	defer client.Link().Reset()
	stalled := time.AfterFunc(patience, func() {
		t.Error("the two ends wait for each other")
		client.Link().Reset()
	})
	defer stalled.Stop()

	var done sync.WaitGroup // both have sent and received all messages
	var ended sync.WaitGroup
	for _, role := range []endpoint.Role{endpoint.Client, endpoint.Server} {
		nc := server
		if role == endpoint.Client {
			nc = client
		}
		e := endpoint.New(nc, endpoint.Config{Role: role, Background: func(f func()) { ended.Go(f) }})
		done.Add(1)
		ended.Go(func() { c.receive(t, e, nc, done.Done) })
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
func (c conversation) receive(t *testing.T, e *endpoint.Endpoint, in io.Reader, complete func()) {
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
	go io.Copy(io.Discard, in)
}

// Both ends send more than the transport holds, Pings too, and both receive
// meanwhile. No deadlock may occur: neither of an end that answers a Ping while
// its writer waits for the peer, nor of one that writes the answer for a peer
// in the same state (6455-5.5.2-b, T-C07).
func TestBothEndsSendMoreThanTheTransportHolds(t *testing.T) {
	for name, c := range map[string]conversation{
		"large messages":    {transport: 1 << 10, messages: 10, size: 64 << 10, pings: 100},
		"small messages":    {transport: 64, messages: 1000, size: 300, pings: 1500},
		"medium messages":   {transport: 4 << 10, messages: 1000, size: 1000, pings: 250},
		"nothing but Pings": {transport: 16, messages: 1, size: 0, pings: 1500},
	} {
		t.Run(name, c.run)
		c.bothClose = true
		t.Run(name+", both close", c.run)
	}
}
