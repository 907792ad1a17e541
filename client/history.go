package client

import "math"

// history is the newest messages of a connection, bounded by their number and
// by their payload bytes. Messages are numbered from 0 in the order of their
// arrival; the payloads in it are never changed. Whoever uses it has a lock.
type history struct {
	maxCount int
	maxBytes int

	kept  []Message
	first uint64 // the number of kept[0], or of the next message if there is none
	bytes int    // payload bytes of kept
}

// newHistory returns an empty history; maxBytes less than 0 means no limit.
func newHistory(maxCount, maxBytes int) history {
	if maxBytes < 0 {
		maxBytes = math.MaxInt
	}
	return history{maxCount: maxCount, maxBytes: maxBytes}
}

// end returns the number of the next message to come.
func (h *history) end() uint64 { return h.first + uint64(len(h.kept)) }

// add adds m, and drops the oldest messages that there is no room for. m itself
// stays, however large it is.
func (h *history) add(m Message) {
	h.kept = append(h.kept, m)
	h.bytes += len(m.Payload)
	for len(h.kept) > 1 && (len(h.kept) > h.maxCount || h.bytes > h.maxBytes) {
		h.dropOldest()
	}
}

func (h *history) dropOldest() {
	h.bytes -= len(h.kept[0].Payload)
	h.kept[0] = Message{} // append goes on in the same array: let go of the payload now
	h.kept = h.kept[1:]
	h.first++
}

// dropBefore drops the messages whose number is less than n.
func (h *history) dropBefore(n uint64) {
	for len(h.kept) > 0 && h.first < n {
		h.dropOldest()
	}
}

// newest returns the newest messages, the oldest of them first: limit of them
// at most, all if limit is negative.
func (h *history) newest(limit int) []Message {
	n := len(h.kept)
	if limit >= 0 {
		n = min(n, limit)
	}
	return append([]Message(nil), h.kept[len(h.kept)-n:]...)
}

// cursor is how far a consumer of the history has come.
type cursor struct {
	next   uint64 // the number of the message that it takes next
	missed uint64 // how many were dropped before it took them, up to next
}

// take returns the message at c, or the oldest one if that was dropped, and
// moves c behind it.
func (h *history) take(c *cursor) (Message, bool) {
	c.missed, c.next = h.missed(*c), max(c.next, h.first)
	if c.next == h.end() {
		return Message{}, false
	}
	m := h.kept[c.next-h.first]
	c.next++
	return m, true
}

// missed returns how many messages were dropped before c's consumer took them.
func (h *history) missed(c cursor) uint64 {
	return c.missed + max(c.next, h.first) - c.next
}
