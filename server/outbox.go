package server

import (
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
)

// outbox holds messages for a connection that cannot be handed to its transport
// at once, in order: broadcasts, which do not wait for another message to end, and
// with SlowDropOldest whatever is sent while the client is behind.
type outbox struct {
	waiting atomic.Int64 // messages in queue or being written; changed under mu
	bytes   atomic.Int64 // that they have; changed under mu
	server  *Server

	mu        sync.Mutex // guards the rest
	done      sync.Cond  // a message has been written
	queue     []*endpoint.Prepared
	running   bool   // a goroutine is sending
	hurried   int    // goroutines that wait for all to be sent, whether the client takes it or not
	delivered uint64 // messages that were ever sent or dropped
}

func newOutbox(s *Server) *outbox {
	box := &outbox{server: s}
	box.done.L = &box.mu
	return box
}

// outbox returns the connection's outbox, nil if nothing ever had to wait.
func (c *Conn) outbox() *outbox {
	if ext := c.ext.Load(); ext != nil {
		return ext.outbox.Load()
	}
	return nil
}

// makeOutbox returns the connection's outbox, which is made if it is not there.
func (c *Conn) makeOutbox() *outbox {
	ext := c.ensureExt()
	if ext.outbox.Load() == nil {
		ext.outbox.CompareAndSwap(nil, newOutbox(c.server))
	}
	return ext.outbox.Load()
}

// keep puts m into the outbox. With SlowDropOldest messages are dropped for it as
// long as there is too much.
func (c *Conn) keep(m *endpoint.Prepared) {
	box := c.makeOutbox()
	hold := c.policy() == SlowDropOldest
	box.put(m, hold, c)
	if (!hold || c.transport.Buffered() == 0) && box.restart() {
		go c.empty(box)
	}
}

// put adds m at the end, unless c has ended. If it may drop messages for that, it
// does.
func (b *outbox) put(m *endpoint.Prepared, mayDrop bool, c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !c.isOpen() {
		return
	}
	for mayDrop && len(b.queue) > 0 && b.server.over(c.transport.Buffered()+int(b.bytes.Load()), m.Size()) != nil {
		b.gone(b.pop())
		b.server.counters.count(func(st *Stats) { st.Dropped++ })
	}
	b.queue = append(b.queue, m)
	b.bytes.Add(int64(m.Size()))
	b.server.counters.backlog.Add(m.Size())
	b.waiting.Add(1)
}

// clear drops the messages in the box of a connection that has ended. None are
// added after that.
func (b *outbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 0 {
		b.gone(b.pop())
	}
}

// restart reports whether the caller is to empty the box.
func (b *outbox) restart() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running || len(b.queue) == 0 {
		return false
	}
	b.running = true
	return true
}

// empty sends what is in the outbox, as the one goroutine that does. With
// SlowDropOldest it goes on when the client has taken what was sent before.
func (c *Conn) empty(box *outbox) {
	hold := c.policy() == SlowDropOldest
	for {
		m := box.next(hold && c.transport.Buffered() > 0)
		if m == nil {
			if c.transport.Buffered() == 0 && box.restart() {
				continue // the transport said so before it could be seen that nobody is sending
			}
			return
		}
		// What ended the connection is reported where that was noticed.
		_ = c.endpoint.SendPrepared(m)
		box.sent(m)
	}
}

// next returns the oldest message. If it is nil, the caller is done: there is
// none, or, with hold, nobody hurries.
func (b *outbox) next(hold bool) *endpoint.Prepared {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 || hold && b.hurried == 0 {
		b.running = false
		return nil
	}
	return b.pop()
}

// pop takes the oldest message. The caller holds mu.
func (b *outbox) pop() *endpoint.Prepared {
	m := b.queue[0]
	b.queue[0] = nil
	if b.queue = b.queue[1:]; len(b.queue) == 0 {
		b.queue = nil
	}
	return m
}

// sent notes that m has been written.
func (b *outbox) sent(m *endpoint.Prepared) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone(m)
}

// gone notes that m waits no more. The caller holds mu.
func (b *outbox) gone(m *endpoint.Prepared) {
	b.bytes.Add(-int64(m.Size()))
	b.server.counters.backlog.Add(-m.Size())
	b.delivered++
	b.waiting.Add(-1)
	b.done.Broadcast()
}

// awaitOutbox returns when what is in the outbox now has been written, or cannot
// be.
func (c *Conn) awaitOutbox() {
	box := c.outbox()
	if box == nil || box.waiting.Load() == 0 {
		return
	}
	box.hurry(1)
	defer box.hurry(-1)
	if box.restart() {
		go c.empty(box)
	}
	box.wait()
}

func (b *outbox) hurry(by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hurried += by
}

// wait returns when what is in the outbox now has been written or dropped.
func (b *outbox) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for last := b.delivered + uint64(b.waiting.Load()); b.delivered < last; {
		b.done.Wait()
	}
}
