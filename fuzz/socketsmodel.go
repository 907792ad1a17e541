package fuzz

import (
	"fmt"

	clientsockets "github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/wire"
)

// socketModel is what clientsockets.Set says about one name.
type socketModel struct {
	open     bool
	once     bool // a message is gone when it has been received
	maxCount int
	maxBytes int

	history  []string // as messageText has them
	sizes    []int    // of their payloads
	first    int      // the number of the oldest message that is kept
	received int      // the number of the next one for Receive
	dropped  int      // how many Receive never got

	handled int         // the number of the next one for the handler
	handler chan string // what the handler got; nil without one
}

// newSocketModel returns the model of a connection with these options.
func newSocketModel(o *clientsockets.Options) *socketModel {
	m := &socketModel{open: true, once: o.DropReceived, maxCount: o.MaxHistory, maxBytes: o.MaxHistoryBytes}
	if m.maxCount == 0 {
		m.maxCount = 100
	}
	if m.maxBytes == 0 {
		m.maxBytes = 1 << 20
	}
	return m
}

// messageText returns a message as the model keeps it.
func messageText(op wire.Opcode, payload string) string { return fmt.Sprintf("%v %q", op, payload) }

// end returns the number of the next message to come.
func (m *socketModel) end() int { return m.first + len(m.history) }

// arrive adds a message, and drops what there is no room for.
func (m *socketModel) arrive(op wire.Opcode, payload string) {
	m.history = append(m.history, messageText(op, payload))
	m.sizes = append(m.sizes, len(payload))
	for len(m.history) > 1 && (len(m.history) > m.maxCount || m.maxBytes >= 0 && sum(m.sizes) > m.maxBytes) {
		m.drop()
	}
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

// drop drops the oldest message.
func (m *socketModel) drop() {
	if m.received == m.first {
		m.received++
		m.dropped++
	}
	m.first++
	m.history, m.sizes = m.history[1:], m.sizes[1:]
}

// next returns the message that Receive returns, if there is one.
func (m *socketModel) next() (text string, ok bool) {
	if m.received == m.end() {
		return "", false
	}
	text = m.history[m.received-m.first]
	m.received++
	if m.once {
		m.drop()
	}
	return text, true
}

// newest returns what Messages returns.
func (m *socketModel) newest(limit int) []string {
	if limit == 0 {
		limit = 50
	}
	if limit < 0 || limit > len(m.history) {
		limit = len(m.history)
	}
	return m.history[len(m.history)-limit:]
}

// unhandled returns what the handler is called with next.
func (m *socketModel) unhandled() []string {
	list := m.history[max(m.handled, m.first)-m.first:]
	m.handled = m.end()
	return list
}
