package server

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
)

// Ping sends a Ping and returns the time until its Pong arrives (RFC 6455,
// Section 5.5.2), or that of a later Ping, because a client may answer the last
// one only. If ctx ends first, Ping returns its error, and the connection stays
// open.
//
// A Pong is read when no handler of the connection runs, and with Handler.Serve
// when the mailbox has room. Ping is therefore for Serve and other goroutines:
// a handler of the same connection would wait for itself.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	p := c.ensurePings()
	payload, answered := p.Start()
	defer p.Cancel(payload)
	if c.phase.load() == phaseEnded {
		return 0, c.Err()
	}
	begin := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- c.endpoint.Ping(payload[:]) }() // may wait behind a frame
	for {
		select {
		case err := <-sent:
			if err != nil {
				return 0, err
			}
			sent = nil
			p.Sent(payload)
		case <-answered:
			return time.Since(begin), nil
		case <-p.ended:
			return 0, c.Err()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// pings tracks the Pings of Conn.Ping.
type pings struct {
	endpoint.PingTracker
	ended chan struct{} // closed when the connection has ended
}

// ensurePings returns the connection's pings, which it allocates if there are
// none.
func (c *Conn) ensurePings() *pings {
	ext := c.ensureExt()
	if p := ext.pings.Load(); p != nil {
		return p
	}
	ext.pings.CompareAndSwap(nil, &pings{ended: make(chan struct{})})
	return ext.pings.Load()
}

// pings returns the connection's pings, nil if Ping was never called.
func (c *Conn) pings() *pings {
	if ext := c.ext.Load(); ext != nil {
		return ext.pings.Load()
	}
	return nil
}

// endPings makes all calls of Ping return. The phase is phaseEnded.
func (c *Conn) endPings() {
	if p := c.pings(); p != nil {
		close(p.ended)
	}
}

// pulse records a connection's heartbeats: the Pings that the server sends by
// itself. The payload of a heartbeat is the time at which it was sent, so that
// its Pong differs from unsolicited ones and from those that answer SendPing.
type pulse struct {
	awaited atomic.Uint32 // payload of the last heartbeat; 0 once it is answered
	rtt     atomic.Uint32 // microseconds, at least 1; 0 before the first answer
}

// micros returns the time since epoch in microseconds. It wraps around after 71
// minutes.
func (k *clock) micros() uint32 { return uint32(time.Since(k.epoch).Microseconds()) }

// sendHeartbeat sends a heartbeat without waiting for the client.
func (c *Conn) sendHeartbeat() {
	sent := c.server.clock.micros() | 1 // never 0
	c.activity.pulse.awaited.Store(sent)
	c.endpoint.PingAsync(binary.BigEndian.AppendUint32(nil, sent))
}

// notePong records a Pong. It may answer the last heartbeat or a call of Ping.
func (c *Conn) notePong(payload []byte) {
	if p := c.pings(); p != nil {
		p.Pong(payload)
	}
	p := &c.activity.pulse
	sent := p.awaited.Load()
	if sent == 0 || len(payload) != 4 || binary.BigEndian.Uint32(payload) != sent {
		return
	}
	p.awaited.Store(0)
	p.rtt.Store(max(c.server.clock.micros()-sent, 1))
}

// RTT returns the round trip time of the last heartbeat that the client has
// answered, 0 before the first one. It includes the time for which a running
// handler kept the Pong from being read. The server sends heartbeats to silent
// clients only, see Server.PingInterval; Ping measures at once. A client can
// answer late, and so choose a longer time.
func (c *Conn) RTT() time.Duration {
	return time.Duration(c.activity.pulse.rtt.Load()) * time.Microsecond
}
