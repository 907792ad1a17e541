package client

import (
	"sync/atomic"
	"time"
)

// This file sends heartbeats: Pings to a server that is silent while a call
// waits for input. A read deadline is the only timer: a heartbeat has no
// goroutine, and a Read of a busy connection does not read the clock.

// heartbeat is the state of the heartbeats. The holder of the read lock owns
// it, except for rtt.
//
//	state    deadline               at the deadline, without a byte
//	off      none                   a Read that begins changes it to quiet
//	heard    half of PingInterval   quiet
//	quiet    half of PingInterval   a Ping is sent: pinged
//	pinged   PongTimeout            the connection is lost
//
// Of PongTimeout only the time counts in which a call waits: if none does, the
// server's bytes may be in the buffers of the kernel.
//
// A Read that returns bytes changes the state to heard. The deadline stays,
// except that of pinged, so that the Ping follows a silence of half of
// PingInterval to PingInterval.
type heartbeat struct {
	_ [0]func() // not comparable: programs are smaller

	interval time.Duration // half of Config.PingInterval; 0 or less: none
	timeout  time.Duration // Config.PongTimeout; 0 or less: none
	state    heartbeatState
	number   uint8         // of the last Ping, its payload
	waited   time.Duration // by calls, since the last Ping
	sent     time.Duration // time of the last Ping, 0 once it is answered
	deadline time.Duration // a time of now; 0 in the state off
	rtt      atomic.Uint32 // microseconds, at least 1; 0 before the first answer
}

type heartbeatState uint8

const (
	off heartbeatState = iota
	heard
	quiet
	pinged
)

// start begins a state that lasts until a deadline.
func (h *heartbeat) start(c *Conn, s heartbeatState, after time.Duration) {
	h.state, h.deadline = s, now()+after
	c.setReadDeadline(0)
}

// deadlineReached is called after a Read that reached a deadline, with err. It
// returns why the connection is lost, nil if it is not.
func (c *Conn) deadlineReached(err error) error {
	h := &c.heartbeat
	state, after := quiet, h.interval // after is 0 or less if the connection is lost
	switch {
	case now() < h.deadline:
		after = 0 // the net.Conn has a time limit of its own
	case h.state == pinged:
		if state, after = pinged, h.timeout-h.waited; after <= 0 {
			err = &TimeoutError{Missing: "bytes after a Ping", After: h.timeout, Option: "PongTimeout"}
		}
	case h.state == quiet && c.State() == Open: // after our Close, CloseTimeout is the limit
		if h.timeout > 0 {
			state, after = pinged, h.timeout
		}
		c.in = nil
		c.buffer.Free() // a silent connection needs none
		h.number++
		h.waited, h.sent = 0, now()
		c.endpoint.PingAsync([]byte{h.number})
	}
	if after <= 0 {
		return c.transportClosed(err)
	}
	h.start(c, state, after)
	return nil
}

// pong records a Pong. It may answer the last heartbeat or a call of Ping.
//
//go:noinline
func (c *Conn) pong(payload []byte) {
	if h := &c.heartbeat; len(payload) == 1 && payload[0] == h.number && h.sent != 0 {
		h.rtt.Store(uint32(max((now()-h.sent)/time.Microsecond, 1)))
		h.sent = 0
	}
	if p, ok := c.pings.Load().(pongReceiver); ok {
		p.pong(payload)
	}
}

// epoch is the zero of now.
var epoch = time.Now()

// now returns the time since epoch.
//
//go:noinline
func now() time.Duration { return time.Since(epoch) }

// setReadDeadline sets the read deadline to the earlier of that of the
// heartbeat and at, a time of now. Zero stands for none.
//
//go:noinline
func (c *Conn) setReadDeadline(at time.Duration) {
	var t time.Time
	if deadline := c.heartbeat.deadline; at == 0 || deadline != 0 && deadline < at {
		at = deadline
	}
	if at != 0 {
		t = epoch.Add(at)
	}
	c.transport.SetReadDeadline(t)
}

// RTT returns the round-trip time of the last heartbeat that the server has
// answered, 0 before the first one. Heartbeats are sent to a silent server
// only, and while a call receives: see Config.PingInterval. Ping measures at
// once. A server can answer late, and so choose a longer time.
func (c *Conn) RTT() time.Duration {
	return time.Duration(c.heartbeat.rtt.Load()) * time.Microsecond
}
