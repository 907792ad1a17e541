package server

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// pulse is what is known of a connection's heartbeats: the Pings that the server
// sends by itself. The payload of one is the time when it was sent, so that its
// Pong cannot be taken for another that the program has asked for, or nobody.
type pulse struct {
	awaited atomic.Uint32 // payload of the heartbeat whose Pong has not come; 0 if none
	rtt     atomic.Uint32 // in microseconds, at least 1; 0 if not known
}

// micros returns the time on the clock of heartbeats, in microseconds. It comes
// round after 71 minutes.
func (k *clock) micros() uint32 { return uint32(time.Since(k.epoch).Microseconds()) }

// beat sends a heartbeat, without waiting for the client.
func (c *Conn) beat() {
	sent := c.server.clock.micros() | 1 // never 0
	c.watch.pulse.awaited.Store(sent)
	payload := binary.BigEndian.AppendUint32(nil, sent)
	c.endpoint.PingAsync(payload)
}

// answered looks whether a Pong is the one of the last heartbeat.
func (c *Conn) answered(payload []byte) {
	p := &c.watch.pulse
	sent := p.awaited.Load()
	if sent == 0 || len(payload) != 4 || binary.BigEndian.Uint32(payload) != sent {
		return
	}
	p.awaited.Store(0)
	p.rtt.Store(max(c.server.clock.micros()-sent, 1))
}

// RTT returns how long the client's answer to the last heartbeat took, 0 as long
// as none has been answered: the way there and back, and how long the Pong lay
// before a handler that was running let it be read. Heartbeats are the Pings of
// Server.PingInterval, which are sent to clients of which nothing else comes. A
// client can make it look as long or as short as it likes.
func (c *Conn) RTT() time.Duration {
	return time.Duration(c.watch.pulse.rtt.Load()) * time.Microsecond
}
