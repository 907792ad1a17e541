package server

import (
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/lockorder"
)

// sendQueue holds messages that cannot be passed to the transport at once, in
// order: broadcasts, which do not wait for the end of another message, and with
// SlowDropOldest all messages for a client that reads too slowly.
type sendQueue struct {
	waiting atomic.Int64 // messages queued, being queued or being written; changed under mu
	bytes   atomic.Int64 // their size; changed under mu
	server  *Server

	mu       lockorder.SendQueue // guards the rest
	written  sync.Cond           // signals a change of done, and that a message is open
	messages []*endpoint.Prepared
	running  bool   // a goroutine runs sendQueued
	forced   int    // goroutines in forceFlush
	done     uint64 // messages that were ever written or dropped
}

func newSendQueue(s *Server) *sendQueue {
	q := &sendQueue{server: s}
	q.written.L = &q.mu
	return q
}

// sendQueue returns the connection's queue, nil if no message was ever queued.
func (c *Conn) sendQueue() *sendQueue {
	if ext := c.ext.Load(); ext != nil {
		return ext.sendQueue.Load()
	}
	return nil
}

// ensureSendQueue returns the connection's queue, which it allocates if there
// is none.
func (c *Conn) ensureSendQueue() *sendQueue {
	ext := c.ensureExt()
	if ext.sendQueue.Load() == nil {
		ext.sendQueue.CompareAndSwap(nil, newSendQueue(c.server))
	}
	return ext.sendQueue.Load()
}

// enqueue queues m. With SlowDropOldest it drops older messages until m fits.
func (c *Conn) enqueue(m *endpoint.Prepared) {
	q := c.ensureSendQueue()
	hold := c.policy() == SlowDropOldest
	q.push(m, hold, c)
	if (!hold || c.transport.Buffered() == 0) && q.start() {
		go c.sendQueued(q)
	}
}

// messagesWait reports whether a message is queued or being written.
func (ext *connExt) messagesWait() bool {
	q := ext.sendQueue.Load()
	return q != nil && q.waiting.Load() > 0
}

// push adds m at the end, unless c has ended. If mayDrop is set, it drops the
// oldest messages until m fits.
func (q *sendQueue) push(m *endpoint.Prepared, mayDrop bool, c *Conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !c.isOpen() {
		return
	}
	q.waiting.Add(1) // first: between the messages that are dropped and m, there is always one
	for mayDrop && len(q.messages) > 0 && q.server.exceeded(c.transport.Buffered()+int(q.bytes.Load()), m.Size()) != nil {
		q.remove(q.pop())
		q.server.counters.count(func(st *Stats) { st.Dropped++ })
	}
	q.messages = append(q.messages, m)
	q.bytes.Add(int64(m.Size()))
	q.server.counters.backlog.Add(m.Size())
}

// clear drops all messages, of a connection that has ended. Later calls of push
// add none.
func (q *sendQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.messages) > 0 {
		q.remove(q.pop())
	}
}

// start reports whether the caller has to run sendQueued.
func (q *sendQueue) start() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running || len(q.messages) == 0 {
		return false
	}
	q.running = true
	return true
}

// sendQueued sends the queued messages. One goroutine at a time runs it. With
// SlowDropOldest it stops while output is buffered, and flushed restarts it.
func (c *Conn) sendQueued(q *sendQueue) {
	hold := c.policy() == SlowDropOldest
	for {
		m := q.next(hold && c.transport.Buffered() > 0)
		if m == nil {
			if c.transport.Buffered() == 0 && q.start() {
				continue // flushed was called while running was still set
			}
			return
		}
		// An error ends the connection, which reports it.
		_ = c.endpoint.SendPrepared(m)
		q.sent(m)
		c.wakeForEnd()
	}
}

// next removes the oldest message. It returns nil if sendQueued has to return:
// the queue is empty or, if hold is set, no goroutine runs forceFlush.
func (q *sendQueue) next(hold bool) *endpoint.Prepared {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.messages) == 0 || hold && q.forced == 0 {
		q.running = false
		return nil
	}
	return q.pop()
}

// pop removes the oldest message. The caller holds mu.
func (q *sendQueue) pop() *endpoint.Prepared {
	m := q.messages[0]
	q.messages[0] = nil
	if q.messages = q.messages[1:]; len(q.messages) == 0 {
		q.messages = nil
	}
	return m
}

// sent records that m has been written.
func (q *sendQueue) sent(m *endpoint.Prepared) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(m)
}

// remove records that m does not wait any more. The caller holds mu.
func (q *sendQueue) remove(m *endpoint.Prepared) {
	q.bytes.Add(-int64(m.Size()))
	q.server.counters.backlog.Add(-m.Size())
	q.done++
	q.waiting.Add(-1)
	q.written.Broadcast()
}

// forceFlush returns when the messages that are queued now have been written or
// dropped. Meanwhile sendQueued writes them to the backlog. If closing is set,
// it does not wait while a message is being sent in fragments: the queued ones
// wait for its end.
func (c *Conn) forceFlush(closing bool) {
	q := c.sendQueue()
	if q == nil || q.waiting.Load() == 0 || closing && c.endpoint.MessageOpen() {
		return
	}
	q.force(1)
	defer q.force(-1)
	if q.start() {
		go c.sendQueued(q)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for last := q.done + uint64(q.waiting.Load()); q.done < last && !(closing && c.endpoint.MessageOpen()); {
		q.written.Wait()
	}
}

// wakeFlushers makes forceFlush look whether a message is open.
func (c *Conn) wakeFlushers() {
	if q := c.sendQueue(); q != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.written.Broadcast()
	}
}

// force changes the number of goroutines in forceFlush.
func (q *sendQueue) force(by int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forced += by
}
