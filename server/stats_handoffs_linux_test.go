//go:build !portable

package server_test

import (
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// blocking is a handler that reports its call and blocks until release.
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

// Each handler that blocks is counted once, and leaves Blocked once.
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
	eventually(t, "all handlers blocked", func() bool { return r.Stats().Blocked == handlers })
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
		t.Errorf("after Shutdown %+v", st)
	}
}

// A handler above MaxBlocked is counted once in HandOffsRefused, however long
// it delays other connections. It is counted as blocked when another handler
// has returned.
func TestStatsOfRefusedHandOffs(t *testing.T) {
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
	eventually(t, "one blocked handler", func() bool { return r.Stats().Blocked == 1 })
	block()
	eventually(t, "the second hand-off refused", func() bool { return r.Stats().HandOffsRefused > 0 })
	first := r.Stats()
	<-time.After(20 * time.Millisecond) // the watchdog checks it many times
	b.release <- struct{}{}
	eventually(t, "the second handler blocked", func() bool {
		st := r.Stats()
		return st.Blocked == 1 && st.HandOffs > first.HandOffs
	})
	if more := r.Stats().HandOffsRefused - first.HandOffsRefused; more > 1 { // one may be of another connection on a slow machine
		t.Errorf("the hand-off was refused %d times more", more)
	}
	close(b.release)
	for _, p := range peers {
		p.want(`text "Hello"`)
		p.goodbye(1000)
	}
	r.atRest(t)
}
