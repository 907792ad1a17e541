package server

import (
	"iter"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/internal/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Broadcast sends p as a message of type op to all connections of the server that
// are open; see the function Broadcast.
func (s *Server) Broadcast(op wire.Opcode, p []byte) error { return Broadcast(s.Conns(), op, p) }

// Broadcast sends p as a message of type op, Text or Binary, to all connections
// of to. The message is encoded once. Broadcast does not wait for the clients:
// what one has not taken waits for it, up to Server.MaxBacklog bytes; one that is
// over that loses its connection. Messages that are sent to a connection
// afterwards come after it.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be
// sent; that a connection has ended is no error. p is not kept.
func Broadcast(to iter.Seq[*Conn], op wire.Opcode, p []byte) error {
	m, err := endpoint.Prepare(op, p)
	if err != nil {
		return err
	}
	for c := range to {
		c.post(m)
	}
	return nil
}

// queueing is a transport that keeps what the client does not take.
type queueing interface {
	// Buffered returns how many bytes that is.
	Buffered() int
}

// post sends m without waiting.
func (c *Conn) post(m *endpoint.Prepared) {
	c.traffic()
	if c.postAtOnce(m) {
		return
	}
	box := c.outbox()
	if box == nil {
		more := c.reserve()
		more.outbox.CompareAndSwap(nil, newOutbox(&c.server.counters))
		box = more.outbox.Load()
	}
	limit := orDefault(c.server.MaxBacklog, DefaultMaxBacklog)
	idle, over := box.put(m, limit)
	if over {
		go c.cut(&BacklogError{Max: limit})
	}
	if idle {
		go c.empty(box)
	}
}

// postAtOnce sends m if the transport, not this goroutine, does the waiting, and
// nothing has to be sent before m. It reports whether it has, or need not.
func (c *Conn) postAtOnce(m *endpoint.Prepared) bool {
	t, ok := c.transport.(queueing)
	if !ok {
		return false
	}
	if box := c.outbox(); box != nil && box.waiting.Load() > 0 {
		return false
	}
	limit := orDefault(c.server.MaxBacklog, DefaultMaxBacklog)
	if n := t.Buffered(); limit > 0 && n > 0 && n+m.Size() > limit {
		go c.cut(&BacklogError{Max: limit})
		return true
	}
	return c.endpoint.TrySendPrepared(m)
}

// empty sends what is in the outbox, as the one goroutine that does.
func (c *Conn) empty(box *outbox) {
	for {
		m := box.next()
		if m == nil {
			return
		}
		// What ended the connection is reported where that was noticed.
		_ = c.endpoint.SendPrepared(m)
		box.sent(m)
	}
}

// outbox holds what has been broadcast to a connection and not been written.
type outbox struct {
	waiting  atomic.Int64 // messages in queue or being written; changed under mu
	counters *counters

	mu        sync.Mutex // guards the rest
	done      sync.Cond  // a message has been written
	queue     []*endpoint.Prepared
	bytes     int
	running   bool   // a goroutine is sending
	delivered uint64 // messages that were ever sent
}

func newOutbox(n *counters) *outbox {
	box := &outbox{counters: n}
	box.done.L = &box.mu
	return box
}

// put adds m, unless there is so much that the limit, if it is one, would be
// passed. It reports whether nobody is sending yet, and whether m was refused.
func (b *outbox) put(m *endpoint.Prepared, limit int) (idle, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limit > 0 && len(b.queue) > 0 && b.bytes+m.Size() > limit {
		return false, true
	}
	b.queue = append(b.queue, m)
	b.bytes += m.Size()
	b.counters.backlogged(m.Size())
	b.waiting.Add(1)
	idle, b.running = !b.running, true
	return idle, false
}

// next returns the oldest message, nil if there is none and the caller is done.
func (b *outbox) next() *endpoint.Prepared {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue, b.running = nil, false
		return nil
	}
	m := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return m
}

// sent notes that m has been written.
func (b *outbox) sent(m *endpoint.Prepared) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= m.Size()
	b.counters.backlogged(-m.Size())
	b.delivered++
	b.waiting.Add(-1)
	b.done.Broadcast()
}

// wait returns when what is in the outbox now has been written.
func (b *outbox) wait() {
	if b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for last := b.delivered + uint64(b.waiting.Load()); b.delivered < last; {
		b.done.Wait()
	}
}
