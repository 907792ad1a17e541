package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// maxKept is the size, in bytes, of the messages that a Ping or Close receives
// and keeps for later calls, before it leaves the reading to them. Each message
// counts messageOverhead more than its payload.
const (
	maxKept         = 1 << 20
	messageOverhead = 64
)

// Ping sends a Ping and returns the time until its Pong arrived (RFC 6455,
// Section 5.5.2), or the Pong of a later Ping, because a server may answer
// only the latest.
//
// If no other call receives, Ping reads from the socket itself and keeps the
// messages before the Pong for Receive, up to 1 MiB. If there are more, or if
// the message of NextReader is not read to its end, Ping waits for a call that
// receives. If ctx ends first, Ping returns its error, and the connection
// stays open.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	c.pings.CompareAndSwap(nil, new(pings))
	pings := c.pings.Load().(*pings)
	payload, answered := pings.tracker.Start()
	defer pings.tracker.Cancel(payload)
	start := time.Now()
	if err := pings.send(ctx, payload, c.endpoint.Ping); err != nil {
		return 0, c.explain(ctx, err)
	}
	lock := c.readLock.held
	for {
		select { // first, because the holder of the lock is not woken
		case <-answered:
			return time.Since(start), nil
		default:
		}
		select {
		case <-answered:
		case <-c.done:
			return 0, c.endpoint.Err()
		case <-ctx.Done():
			return 0, ctx.Err()
		case lock <- struct{}{}:
			var err error
			if !isClosed(answered) {
				err = c.receiveForLater(ctx)
			}
			full := c.keptTooMuch()
			c.readLock.unlock()
			if err != nil {
				return 0, err
			}
			if full {
				lock = nil
			}
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// explain returns the error of a call that failed to send. If the transport
// has ended, with err, the server's Close may not have been read yet: then it
// is read, and is the reason (RFC 6455, Section 7.1.5).
func (c *Conn) explain(ctx context.Context, err error) error {
	if _, lost := err.(*LostError); !lost || c.endpoint.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, failureWait)
	defer cancel()
	for c.endpoint.Err() == nil {
		select {
		case c.readLock.held <- struct{}{}:
		case <-ctx.Done():
			return err
		}
		full := c.keptTooMuch()
		var unread error
		if !full {
			unread = c.receiveForLater(ctx)
		}
		c.readLock.unlock()
		if full || unread != nil {
			break
		}
	}
	if known := c.endpoint.Err(); known != nil {
		return known
	}
	return err
}

// receiveForLater receives one event and keeps the message that it completes.
// It returns without an event if a call waits in order to receive. The caller
// holds the read lock.
func (c *Conn) receiveForLater(ctx context.Context) error {
	c.readLock.makeInterruptible(ctx)
	var m Message
	complete, err := c.receiveEvent(ctx, &m)
	if complete {
		c.kept = append(c.kept, m)
		c.keptSize += messageOverhead + len(m.Payload)
	}
	if err != nil && err == c.readLock.read.Err() {
		return ctx.Err() // nil if a call that receives has interrupted the read
	}
	return err
}

// keptTooMuch reports whether the kept messages have reached maxKept. The
// caller holds the read lock.
func (c *Conn) keptTooMuch() bool { return c.keptSize+len(c.partial.bytes) > maxKept }

// dropKept discards the kept messages, and the rest of the unfinished one.
func (c *Conn) dropKept() {
	c.kept, c.keptSize = nil, 0
	if c.partial.opcode != wire.Continuation {
		c.partial = partial{opcode: c.partial.opcode, skip: true}
	}
}

// pings are the Pings of Ping. A single goroutine sends them, however many
// calls wait, so that each call can end with its context while the server does
// not read.
type pings struct {
	tracker endpoint.PingTracker

	mu      sync.Mutex // guards the rest
	queue   []*pingCall
	sending bool // a goroutine sends the queue
}

// pingCall is a Ping that waits to be sent.
type pingCall struct {
	payload [8]byte
	result  chan error // capacity 1
}

// pongReceiver is a *pings.
type pongReceiver interface{ pong(payload []byte) }

// pong ends the Pings that the Pong with this payload answers.
func (p *pings) pong(payload []byte) { p.tracker.Pong(payload) }

// send sends a Ping with write, which may block, and returns when it is sent
// or ctx ends.
func (p *pings) send(ctx context.Context, payload [8]byte, write func(payload []byte) error) error {
	call := &pingCall{payload: payload, result: make(chan error, 1)}
	p.mu.Lock()
	p.queue = append(p.queue, call)
	if !p.sending {
		p.sending = true
		go p.sendQueue(write)
	}
	p.mu.Unlock()
	select {
	case err := <-call.result:
		return err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.queue = slices.DeleteFunc(p.queue, func(c *pingCall) bool { return c == call })
		return ctx.Err()
	}
}

// sendQueue sends the queue until it is empty.
func (p *pings) sendQueue(write func(payload []byte) error) {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.queue, p.sending = nil, false
			p.mu.Unlock()
			return
		}
		call := p.queue[0]
		p.queue = p.queue[1:]
		p.mu.Unlock()
		err := write(call.payload[:])
		if err == nil {
			p.tracker.Sent(call.payload)
		}
		call.result <- err
	}
}
