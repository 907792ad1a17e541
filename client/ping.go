package client

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// maxQueued is how many payload bytes a Ping or Close receives and keeps for
// later receivers before it leaves the reading to them.
const maxQueued = 1 << 20

// Ping sends a Ping and returns the time until its Pong came (RFC 6455, Section
// 5.5.2). If no other call receives meanwhile, Ping does so itself: the messages
// that come before the Pong are kept for Receive, up to 1 MiB; beyond that
// somebody must receive them for the Pong to be found.
//
// If ctx ends first, its error is returned and the connection stays open.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	payload, answered := c.pings.expect()
	defer c.pings.forget(payload)
	sent := time.Now()
	if err := c.endpoint.Ping(payload[:]); err != nil {
		return 0, err
	}
	turn := c.turn
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
			c.giveTurn()
			if err != nil {
				return 0, err
			}
			if full {
				turn = nil
			}
		}
	}
}

// receiveForLater takes one event and keeps what it brings for the calls that
// receive. The caller has the turn.
func (c *Conn) receiveForLater(ctx context.Context) error {
	m, complete, err := c.step(ctx)
	if complete {
		c.inbox = append(c.inbox, m)
		c.queued += len(m.Payload)
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
	mu      sync.Mutex
	waiting map[[8]byte]chan struct{}
}

// expect returns a payload that is not in use and a channel that is closed when
// it comes back.
func (p *pings) expect() (payload [8]byte, answered chan struct{}) {
	answered = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[[8]byte]chan struct{})
	}
	for {
		binary.BigEndian.PutUint64(payload[:], rand.Uint64())
		if _, taken := p.waiting[payload]; !taken {
			p.waiting[payload] = answered
			return payload, answered
		}
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

// answer takes a Pong. One that nobody waits for, or a second one for the same
// Ping, is nothing.
func (p *pings) answer(pong []byte) {
	if len(pong) != len([8]byte{}) {
		return
	}
	payload := [8]byte(pong)
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered, ok := p.waiting[payload]; ok {
		delete(p.waiting, payload)
		close(answered)
	}
}
