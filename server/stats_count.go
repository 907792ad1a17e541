package server

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// This file is where events become numbers. How an event is counted goes by how
// often it comes:
//
//	rare      a few times in a connection's life: under one lock
//	a frame   by the engine, which adds to a lane
//	a lane    atomic counters in cache lines of their own; each poller has one,
//	          so that processors do not wait for each other
//
// What counts nothing costs nothing: there are lanes from the first connection on.

// counters are a server's numbers.
type counters struct {
	displaced atomic.Int64
	backlog   atomic.Int64
	peak      atomic.Int64

	mu    sync.Mutex // guards the rest
	rare  Stats
	lanes []lane // made once
	turn  int
}

// lane is the counters that a poller, or a goroutine, adds to.
type lane = endpoint.Counters

// addTo adds n to sum.
func addTo(sum *Traffic, n endpoint.FrameCount) {
	sum.Messages += n.Messages
	sum.Bytes += n.Bytes
	sum.Fragments += n.Fragments
	sum.Pings += n.Pings
	sum.Pongs += n.Pongs
}

// lane returns the lane for the i-th poller.
func (n *counters) lane(i int) *lane {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.laneLocked(i)
}

func (n *counters) laneLocked(i int) *lane {
	if n.lanes == nil {
		n.lanes = make([]lane, runtime.GOMAXPROCS(0))
	}
	return &n.lanes[i%len(n.lanes)]
}

// count has rare events counted.
func (n *counters) count(events func(*Stats)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	events(&n.rare)
}

// backlogged notes that the backlog of a connection has grown, or shrunk, by so
// many bytes.
func (n *counters) backlogged(by int) {
	if by == 0 {
		return
	}
	now := n.backlog.Add(int64(by))
	for {
		peak := n.peak.Load()
		if now <= peak || n.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

func (n *counters) stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := n.rare
	for i := range n.lanes {
		addTo(&st.Received, n.lanes[i].Received.Load())
		addTo(&st.Sent, n.lanes[i].Sent.Load())
	}
	st.Displaced = n.displaced.Load()
	st.Backlog = n.backlog.Load()
	st.BacklogPeak = uint64(n.peak.Load())
	return st
}

// What happens to a connection.

// begun counts a connection that is in the opening handshake from now on, and
// gives it a lane. It returns how many are.
func (n *counters) begun(c *Conn) (opening int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rare.Opening++
	n.turn++
	c.endpoint.SetCounters(n.laneLocked(n.turn))
	return n.rare.Opening
}

// opened counts the end of an opening handshake that was accepted.
func (st *Stats) opened() {
	st.Opening--
	st.Accepted++
	st.Open++
}

// refused counts an answer to an opening handshake.
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

// unfinished counts an opening handshake that ended, by err, without an answer.
func (st *Stats) unfinished(err error) {
	st.Opening--
	st.Unfinished++
	st.because(err)
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
		if late, ok := err.Err.(*LateError); ok {
			st.Timeouts.count(late)
		}
	case *LostError:
		st.Ended.Lost++
		st.because(err)
	default: // ErrClosed
		st.Ended.ByServer++
	}
}

// because counts why a connection was cut, if it was.
func (st *Stats) because(err error) {
	lost, ok := err.(*LostError)
	if !ok {
		return
	}
	switch cause := lost.Err.(type) { // not errors.As, which allocates
	case *TimeoutError:
		st.Timeouts.Write++
	case *BacklogError:
		st.Cut++
	case *LateError:
		st.Timeouts.count(cause)
	}
}

// count counts a timeout of a client of which something did not come.
func (t *Timeouts) count(late *LateError) {
	switch late.Option {
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

// of returns the number for a status code that may stand in a Close, or for
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
