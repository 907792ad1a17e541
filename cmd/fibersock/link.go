package main

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// link is the connection of a session. With -reconnect another one replaces it
// when it ends. Any goroutine may call its methods but next, dial and cancel,
// which are those of one goroutine at a time.
type link struct {
	next   func() (*client.Conn, error) // opens the first connection, and the next one when it has ended
	cancel func()                       // ends a next that is under way, and all later ones
	stop   func()                       // releases next

	mu    sync.Mutex // guards the rest
	conn  *client.Conn
	ready chan struct{} // closed if there is a conn
}

// newLink returns a link to url. It does not connect.
func newLink(ctx context.Context, url string, cfg *client.Config, reconnect bool, retry func(error, time.Duration)) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{cancel: cancel, stop: func() {}, ready: make(chan struct{})}
	l.next = func() (*client.Conn, error) { return client.Dial(ctx, url, cfg) }
	if reconnect {
		next, stop := iter.Pull2(client.Reconnecting(ctx, url, &client.ReconnectConfig{Config: cfg, Retry: retry}))
		l.next = func() (*client.Conn, error) {
			c, err, _ := next()
			return c, err
		}
		l.stop = stop
	}
	return l
}

// set sets the connection, nil during an outage.
func (l *link) set(c *client.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = c
	if c == nil {
		l.ready = make(chan struct{})
		return
	}
	close(l.ready)
}

// get returns the connection, nil during an outage.
func (l *link) get() *client.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// await waits for the end of an outage, and returns the connection. It returns
// nil if done is closed before.
func (l *link) await(done <-chan struct{}) *client.Conn {
	l.mu.Lock()
	conn, ready := l.conn, l.ready
	l.mu.Unlock()
	if conn != nil {
		return conn
	}
	select {
	case <-ready:
		return l.get()
	case <-done:
		return nil
	}
}

// close closes the connection at once, and releases all resources.
func (l *link) close() {
	l.cancel()
	if c := l.get(); c != nil {
		c.CloseNow()
	}
	l.stop()
}

// replaceable reports whether -reconnect opens another connection after one
// that ended with err: unless the server has closed it with 1000.
func replaceable(err error) bool {
	var closed *client.CloseError
	return !errors.As(err, &closed) || closed.Code != wire.NormalClosure
}

// replaced is the result of link.next after an outage.
type replaced struct {
	conn *client.Conn
	err  error
}

// reconnect opens another connection, sends the messages of -x on it again, and
// sends the result to run.
func (s *session) reconnect() {
	c, err := s.options.open(s.link, s.out)
	if err == nil {
		s.out.note("fibersock: connected again")
		for _, m := range s.options.prepared {
			s.out.message("out", m.op, m.payload) // run sees an error with the next message
			c.Send(m.op, m.payload)
		}
	}
	s.replaced <- replaced{c, err}
}
