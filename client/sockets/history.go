package sockets

import (
	"math"

	"github.com/fibersock/fibersock/client"
)

// history is the newest messages of a connection, bounded by their number and
// payload bytes. Messages are numbered from 0 in the order of arrival. Their
// payloads never change. The caller holds the lock of the connection.
type history struct {
	maxCount int
	maxBytes int

	kept  []client.Message
	first uint64 // the number of kept[0], or of the next message if kept is empty
	bytes int    // payload bytes of kept
}

// newHistory returns an empty history. Less than 0 means no limit.
func newHistory(maxCount, maxBytes int) history {
	if maxCount < 0 {
		maxCount = math.MaxInt
	}
	if maxBytes < 0 {
		maxBytes = math.MaxInt
	}
	return history{maxCount: maxCount, maxBytes: maxBytes}
}

// end returns the number of the next message.
func (h *history) end() uint64 { return h.first + uint64(len(h.kept)) }

// add adds m and drops the oldest messages beyond the limits. It keeps m
// itself, of any size.
func (h *history) add(m client.Message) {
	h.kept = append(h.kept, m)
	h.bytes += len(m.Payload)
	for len(h.kept) > 1 && (len(h.kept) > h.maxCount || h.bytes > h.maxBytes) {
		h.dropOldest()
	}
}

func (h *history) dropOldest() {
	h.bytes -= len(h.kept[0].Payload)
	h.kept[0] = client.Message{} // release the payload: append continues in the same array
	h.kept = h.kept[1:]
	h.first++
}

// dropBefore drops the messages with numbers less than n.
func (h *history) dropBefore(n uint64) {
	for len(h.kept) > 0 && h.first < n {
		h.dropOldest()
	}
}

// newest returns the newest messages, the oldest of them first: at most limit,
// all if limit is negative.
func (h *history) newest(limit int) []client.Message {
	n := len(h.kept)
	if limit >= 0 {
		n = min(n, limit)
	}
	return append([]client.Message(nil), h.kept[len(h.kept)-n:]...)
}

// cursor is the position of a consumer in the history.
type cursor struct {
	next   uint64 // the number of the next message for the consumer
	missed uint64 // messages before next that were dropped before the consumer took them
}

// take returns the message at c, or the oldest one if that was dropped, and
// moves c behind it.
func (h *history) take(c *cursor) (client.Message, bool) {
	c.missed, c.next = h.missed(*c), max(c.next, h.first)
	if c.next == h.end() {
		return client.Message{}, false
	}
	m := h.kept[c.next-h.first]
	c.next++
	return m, true
}

// missed returns how many messages were dropped before c's consumer took them.
func (h *history) missed(c cursor) uint64 {
	return c.missed + max(c.next, h.first) - c.next
}
