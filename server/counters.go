package server

import (
	"runtime"
	"sync"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/wire"
)

// This file counts events. The frequency of an event decides how:
//
//	rare events    a few times in a connection's life: under one lock
//	frames         by the engine, which adds to a shard
//	shards         atomic counters in cache lines of their own; each poller has one,
//	               so that processors do not wait for each other
//
// Shards are allocated with the first connection.

// counters are a server's statistics.
type counters struct {
	loop    netloop.Counters
	backlog netloop.Gauge

	mu     sync.Mutex // guards the rest
	rare   Stats
	shards []shard // made once
	turn   int
}

// shard counts the frames of some connections.
type shard = endpoint.Counters

// addTo adds n to sum.
func addTo(sum *Traffic, n endpoint.FrameCount) {
	sum.Messages += n.Messages
	sum.Bytes += n.Bytes
	sum.Fragments += n.Fragments
	sum.Pings += n.Pings
	sum.Pongs += n.Pongs
	sum.Compressed += n.Compressed
	sum.EncodedBytes += n.EncodedBytes
	sum.DecodedBytes += n.DecodedBytes
}

// shardLocked returns the shard with the given index. The caller holds mu.
func (n *counters) shardLocked(i int) *shard {
	if n.shards == nil {
		n.shards = make([]shard, runtime.GOMAXPROCS(0))
	}
	return &n.shards[i%len(n.shards)]
}

// count counts rare events.
func (n *counters) count(events func(*Stats)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	events(&n.rare)
}

// forLoop returns the counters that the loop updates.
func (n *counters) forLoop() *netloop.Counters {
	n.loop.Buffered = &n.backlog
	return &n.loop
}

func (n *counters) stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := n.rare
	for i := range n.shards {
		addTo(&st.Received, n.shards[i].Received.Load())
		addTo(&st.Sent, n.shards[i].Sent.Load())
	}
	st.Blocked = n.loop.Blocked.Load()
	st.HandOffs = n.loop.HandOffs.Load()
	st.HandOffsRefused = n.loop.HandOffsRefused.Load()
	st.BatchedSends = n.loop.BatchedSends.Load()
	st.Backlog = n.backlog.Load()
	st.BacklogPeak = uint64(n.backlog.Peak())
	return st
}

// begun counts a connection in the opening handshake and chooses its shard. It
// returns the number of connections in the opening handshake.
func (n *counters) begun(c *Conn) (opening int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rare.Opening++
	n.turn++
	i := c.transport.Shard()
	if i < 0 {
		i = n.turn
	}
	c.endpoint.SetCounters(n.shardLocked(i))
	return n.rare.Opening
}

// opened counts an accepted opening handshake.
func (st *Stats) opened() {
	st.Opening--
	st.Accepted++
	st.Open++
}

// refused counts a refused opening handshake.
func (st *Stats) refused(err *handshake.Error) {
	switch err.HTTPStatus() / 100 {
	case 3:
		st.Refused.Status3xx++
	case 4:
		st.Refused.Status4xx++
	case 5:
		st.Refused.Status5xx++
	}
}

// unfinished counts an opening handshake that err ended without a response.
func (st *Stats) unfinished(err error) {
	st.Opening--
	st.Unfinished++
	st.countCause(err)
}

// ended counts the end of a connection.
func (st *Stats) ended(e *endpoint.Endpoint) {
	st.Open--
	sent, first := e.SentClose()
	if sent != 0 {
		*st.Sent.Closes.of(sent)++
	}
	switch err := e.Err().(type) {
	case *CloseError:
		*st.Received.Closes.of(err.Code)++
		if first {
			st.Ended.ByServer++
		} else {
			st.Ended.ByClient++
		}
	case *FailError:
		st.Ended.Failed++
		if timeout, ok := err.Err.(*TimeoutError); ok {
			st.Timeouts.count(timeout)
		}
	case *LostError:
		st.Ended.Lost++
		st.countCause(err)
	default: // ErrClosed
		st.Ended.ByServer++
	}
}

// countCause counts the cause of a LostError.
func (st *Stats) countCause(err error) {
	lost, ok := err.(*LostError)
	if !ok {
		return
	}
	switch cause := lost.Err.(type) { // not errors.As, which allocates
	case *BacklogError:
		st.Cut++
	case *TimeoutError:
		st.Timeouts.count(cause)
	}
}

// count counts an expired time limit.
func (t *Timeouts) count(timeout *TimeoutError) {
	switch timeout.Option {
	case "WriteTimeout":
		t.Write++
	case "HandshakeTimeout":
		t.Handshake++
	case "CloseTimeout":
		t.Close++
	case "PongTimeout":
		t.Pong++
	case "AssemblyTimeout":
		t.Assembly++
	}
}

// of returns the counter of a status code that is valid in a Close, or of
// NoStatusReceived.
func (c *CloseCodes) of(code wire.StatusCode) *uint64 {
	switch code {
	case wire.NormalClosure:
		return &c.NormalClosure
	case wire.GoingAway:
		return &c.GoingAway
	case wire.ProtocolError:
		return &c.ProtocolError
	case wire.UnsupportedData:
		return &c.UnsupportedData
	case wire.NoStatusReceived:
		return &c.NoStatus
	case wire.InvalidFramePayloadData:
		return &c.InvalidFramePayloadData
	case wire.PolicyViolation:
		return &c.PolicyViolation
	case wire.MessageTooBig:
		return &c.MessageTooBig
	case wire.MandatoryExtension:
		return &c.MandatoryExtension
	case wire.InternalError:
		return &c.InternalError
	case wire.ServiceRestart:
		return &c.ServiceRestart
	case wire.TryAgainLater:
		return &c.TryAgainLater
	case wire.BadGateway:
		return &c.BadGateway
	}
	if code < 4000 {
		return &c.Libraries
	}
	return &c.Applications
}
