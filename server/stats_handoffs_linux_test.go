//go:build !portable

package server_test

import (
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// blocking is a handler that, once called, tells so and waits to be released.
type blocking struct {
	entered chan struct{}
	release chan struct{}
}

func newBlocking() *blocking {
	return &blocking{entered: make(chan struct{}, 100), release: make(chan struct{})}
}

func (b *blocking) handler() server.Handler {
	return server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		b.entered <- struct{}{}
		<-b.release
		echo(c, op, p)
	}}
}

// Each handler that blocks is blocked once, and comes back once.
func TestStatsOfHandOffs(t *testing.T) {
	const handlers = 10
	b := newBlocking()
	r := loops["system's"](t, &server.Server{Handler: b.handler()})
	var peers []*peer
	for range handlers {
		p := r.open(t)
		p.send(text("Hello"))
		result(t, b.entered)
		peers = append(peers, p)
	}
	eventually(t, "all are blocked", func() bool { return r.Stats().Blocked == handlers })
	before := r.Stats().HandOffs
	if before < handlers {
		t.Errorf("%d hand-offs of %d handlers", before, handlers)
	}
	close(b.release)
	for _, p := range peers {
		p.want(`text "Hello"`)
		p.goodbye(1000)
	}
	if st := r.atRest(t); st.Blocked != 0 || st.HandOffsRefused != 0 || st.Received.Messages != handlers || st.Sent.Messages != handlers {
		t.Errorf("at rest %+v", st)
	}
}

// A handler that may not be displaced, because there are too many, is counted
// once, however long it keeps what comes after it waiting; and is blocked when
// another has returned.
func TestStatsOfHandlersThatMayNotBeDisplaced(t *testing.T) {
	b := newBlocking()
	s := &server.Server{Handler: b.handler(), MaxBlocked: 1}
	r := loops["system's"](t, s)
	var peers []*peer
	block := func() {
		p := r.open(t)
		p.send(text("Hello"))
		result(t, b.entered)
		peers = append(peers, p)
	}
	block()
	eventually(t, "one is blocked", func() bool { return r.Stats().Blocked == 1 })
	block()
	eventually(t, "the other is not", func() bool { return r.Stats().HandOffsRefused > 0 })
	first := r.Stats()
	<-time.After(20 * time.Millisecond) // in which the watchdog looks at it many times
	b.release <- struct{}{}
	eventually(t, "the other is blocked, too", func() bool {
		st := r.Stats()
		return st.Blocked == 1 && st.HandOffs > first.HandOffs
	})
	if more := r.Stats().HandOffsRefused - first.HandOffsRefused; more > 1 { // one may be somebody else's: the machine may be slow
		t.Errorf("it was counted %d times more", more)
	}
	close(b.release)
	for _, p := range peers {
		p.want(`text "Hello"`)
		p.goodbye(1000)
	}
	r.atRest(t)
}
