package client

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// maxQueued is how many bytes a Ping or Close receives and keeps for later
// receivers before it leaves the reading to them. Every message counts
// messageOverhead beyond its payload, because it costs memory even if it is
// empty.
const (
	maxQueued       = 1 << 20
	messageOverhead = 64
)

// Ping sends a Ping and returns the time until its Pong came (RFC 6455, Section
// 5.5.2), or that of a later Ping, because a server may answer only the last. If
// no other call receives meanwhile, Ping does so itself: the messages that come
// before the Pong are kept for Receive, up to 1 MiB; beyond that somebody must
// receive them for the Pong to be found, as somebody must read on a message of
// NextReader that is not read to its end.
//
// If ctx ends first, its error is returned and the connection stays open.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	payload, answered := c.pings.expect()
	defer c.pings.forget(payload)
	sent := time.Now()
	if err := c.pings.send(ctx, payload, c.endpoint.Ping); err != nil {
		return 0, c.explain(ctx, err)
	}
	turn := c.readLock.held
	for {
		select { // first, because with the turn there is nobody to wake us
		case <-answered:
			return time.Since(sent), nil
		default:
		}
		select {
		case <-answered:
		case <-c.gone:
			return 0, c.endpoint.Err()
		case <-ctx.Done():
			return 0, ctx.Err()
		case turn <- struct{}{}:
			var err error
			if !c.pings.answered(payload) {
				err = c.receiveForLater(ctx)
			}
			full := c.overfull()
			c.readLock.unlock()
			if err != nil {
				return 0, err
			}
			if full {
				turn = nil
			}
		}
	}
}

// explain returns the reason why the connection ended, if it was closed by the server
// and the transport's end, err, was noticed before the server's Close was read (RFC
// 6455, Section 7.1.5).
func (c *Conn) explain(ctx context.Context, err error) error {
	var lost *LostError
	if c.endpoint.Err() != nil || !errors.As(err, &lost) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, failureWait)
	defer cancel()
	for c.endpoint.Err() == nil && !c.overfull() {
		select {
		case c.readLock.held <- struct{}{}:
		case <-ctx.Done():
			return err
		}
		unread := c.receiveForLater(ctx)
		c.readLock.unlock()
		if unread != nil {
			break
		}
	}
	if known := c.endpoint.Err(); known != nil {
		return known
	}
	return err
}

// receiveForLater receives one event and keeps a message that it completes for
// the calls that receive. It returns without an event when such a call waits.
// The caller holds the lock.
func (c *Conn) receiveForLater(ctx context.Context) error {
	c.readLock.makeInterruptible(ctx)
	m, complete, err := c.step(ctx)
	if complete {
		c.inbox = append(c.inbox, m)
		c.queued += messageOverhead + len(m.Payload)
	}
	if err != nil && err == c.readLock.read.Err() && ctx.Err() == nil {
		return nil // a call waits in order to receive
	}
	return err
}

// overfull reports whether as much is kept as may be.
func (c *Conn) overfull() bool { return c.queued+len(c.held.bytes) > maxQueued }

// dropKept drops what is kept, and what is still to come of its last message.
func (c *Conn) dropKept() {
	c.inbox, c.queued = nil, 0
	if c.held.opcode != wire.Continuation {
		c.held = held{opcode: c.held.opcode, skip: true}
	}
}

// pings are the Pings whose Pong has not come. Each has a payload of its own,
// so that only a Pong that was asked for counts (Section 5.5.3).
type pings struct {
	mu      sync.Mutex // guards the rest
	waiting map[[8]byte]*ping
	count   uint64      // Pings that have been sent
	queue   []*pingCall // Pings that are to be sent
	sending bool        // a goroutine sends the queue
}

// pingCall is a Ping that waits to be sent.
type pingCall struct {
	payload [8]byte
	result  chan error // capacity 1
}

// send sends a Ping by write, which may wait for another writer, and returns when it
// is sent or ctx ends. A single goroutine sends all Pings, however many calls wait.
func (p *pings) send(ctx context.Context, payload [8]byte, write func(payload []byte) error) error {
	call := &pingCall{payload, make(chan error, 1)}
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
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(c *pingCall) bool { return c == call })
	return ctx.Err()
}

// sendQueue sends Pings until there are no more.
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
			p.sent(call.payload)
		}
		call.result <- err
	}
}

// ping is one of them. Two that were sent at the same time have no order: one is
// later than another for sure if it began when the other had been sent.
type ping struct {
	answered chan struct{}
	begin    uint64 // the count when it began
	sent     uint64 // the count with it; 0 while it is being sent
}

// expect returns a payload that is not in use and a channel that is closed when
// it comes back.
func (p *pings) expect() (payload [8]byte, answered chan struct{}) {
	answered = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[[8]byte]*ping)
	}
	for {
		binary.BigEndian.PutUint64(payload[:], rand.Uint64())
		if _, taken := p.waiting[payload]; !taken {
			p.waiting[payload] = &ping{answered: answered, begin: p.count}
			return payload, answered
		}
	}
}

// sent takes note that a Ping has been sent.
func (p *pings) sent(payload [8]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if w, ok := p.waiting[payload]; ok {
		w.sent = p.count
	}
}

// answered reports whether the Pong has come.
func (p *pings) answered(payload [8]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waiting := p.waiting[payload]
	return !waiting
}

func (p *pings) forget(payload [8]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, payload)
}

// answer takes a Pong. It answers the Pings before its own too: a server that has
// several to answer may answer only the last (Section 5.5.3). One that nobody
// waits for, or a second one for the same Ping, is nothing.
func (p *pings) answer(pong []byte) {
	if len(pong) != len([8]byte{}) {
		return
	}
	payload := [8]byte(pong)
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.waiting[payload]
	if !ok {
		return
	}
	for payload, w := range p.waiting {
		if w == last || w.sent > 0 && w.sent <= last.begin {
			delete(p.waiting, payload)
			close(w.answered)
		}
	}
}
