package sockets

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// socket is one connection of a Set, from the call of Connect until its name
// is free. A goroutine of its own reads messages into the history. Receive and
// the handler are its consumers, each with a cursor.
//
//	          conn   err    outage   history
//	dialing   nil    nil    nil      empty
//	open      set    nil    nil      grows
//	waiting   nil    nil    set      consumers take the rest, and wait
//	ended     any    set    any      consumers take the rest
//	closed    any    set    any      empty
//
// waiting is the time between two connections with Options.Reconnect.
type socket struct {
	name   string
	url    string
	once   bool               // Options.DropReceived
	keeps  bool               // Options.Reconnect is set
	cancel context.CancelFunc // ends the dial, or all connections if keeps is set

	mu       sync.Mutex // guards the rest
	conn     *client.Conn
	err      error  // why the connection ended for good
	outage   error  // why the earlier connection ended
	replaced uint64 // connections that were replaced by another one
	history  history
	received cursor               // of Receive
	handled  cursor               // of the handler
	handler  func(client.Message) // nil unless a goroutine calls it, and in the state closed
	changed  chan struct{}        // closed when a message arrives or the connection ends; nil if nobody waits
}

// opened sets the connection.
func (s *socket) opened(c *client.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = c
	if s.outage != nil {
		s.outage = nil
		s.replaced++
	}
}

// read receives until the connection ends. It waits for the server only.
func (s *socket) read(c *client.Conn) {
	for {
		m, err := c.Receive(context.Background())
		s.mu.Lock()
		switch {
		case err != nil && s.keeps:
			s.conn, s.outage = nil, err
		case err != nil:
			s.endLocked(err)
		case s.err == nil:
			s.history.add(m)
			s.wakeLocked()
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end records why there is no further connection.
func (s *socket) end(err error) {
	s.mu.Lock()
	s.endLocked(err)
	s.mu.Unlock()
}

// endLocked records why the connection ended, the first time.
func (s *socket) endLocked(err error) {
	if s.err == nil {
		s.err = err
		s.wakeLocked()
	}
}

func (s *socket) wakeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// close ends s in any state: calls that wait return, the history is dropped,
// and an open connection is closed with code, or cut when ctx ends.
func (s *socket) close(ctx context.Context, code wire.StatusCode) error {
	s.cancel()
	s.mu.Lock()
	conn := s.conn
	if s.err != nil {
		conn = nil
	}
	s.endLocked(client.ErrClosed)
	s.history.dropBefore(s.history.end())
	s.handler = nil // for a message that its goroutine has taken already
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	err := closeConn(ctx, conn, code)
	if closed := (*client.CloseError)(nil); err == nil || errors.As(err, &closed) {
		return nil // also if the server closed first
	}
	return &Error{Name: s.name, Err: err}
}

// closeConn closes conn with code, and cuts it when ctx ends.
func closeConn(ctx context.Context, conn *client.Conn, code wire.StatusCode) error {
	defer context.AfterFunc(ctx, func() { conn.CloseNow() })()
	err := conn.Close(code, "")
	if err == client.ErrClosed && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// use returns the connection if it is open.
func (s *socket) use() (*client.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.err != nil {
		return nil, s.notOpen(s.reasonLocked())
	}
	return s.conn, nil
}

// reasonLocked returns why there is no open connection.
func (s *socket) reasonLocked() error {
	if s.err != nil {
		return s.err
	}
	return s.outage
}

// isOverLocked reports whether no further message can arrive, or none was
// ever expected because the dial has not returned.
func (s *socket) isOverLocked() bool {
	return s.err != nil || s.conn == nil && s.outage == nil
}

func (s *socket) notOpen(cause error) error {
	return &Error{Name: s.name, Err: ErrNotOpen, Cause: cause}
}

// failed returns the error of a call for err of the connection.
func (s *socket) failed(err error) error {
	if !errors.Is(err, net.ErrClosed) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		err = s.err
	}
	return s.notOpen(err)
}

// next returns the next message of the consumer with cursor c. The payload is
// part of the history. It waits for timeout, without limit if that is
// negative.
func (s *socket) next(c *cursor, timeout time.Duration) (client.Message, error) {
	var expired <-chan time.Time
	for {
		m, changed, err := s.take(c)
		if changed == nil {
			return m, err
		}
		if expired == nil && timeout >= 0 {
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-changed:
		case <-expired:
			return client.Message{}, s.timedOut("message", timeout)
		}
	}
}

// timedOut returns the error of a call that waited in vain.
func (s *socket) timedOut(missing string, timeout time.Duration) error {
	return &Error{Name: s.name, Err: &client.TimeoutError{Missing: missing, After: timeout}}
}

// take returns the message at c, or the error if there will be none, or a
// channel that is closed when the caller should try again.
func (s *socket) take(c *cursor) (client.Message, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.history.take(c)
	switch {
	case ok && s.once:
		s.received.next, s.handled.next = c.next, c.next
		s.history.dropBefore(c.next)
		return m, nil, nil
	case ok:
		return m, nil, nil
	case s.isOverLocked():
		return m, nil, s.notOpen(s.err)
	case s.changed == nil:
		s.changed = make(chan struct{})
	}
	return m, s.changed, nil
}

// onMessage sets the handler. The first one starts the goroutine that calls
// it, which exits when the connection has ended and the history is handled.
func (s *socket) onMessage(handler func(client.Message)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := max(s.handled.next, s.history.first)
	if s.handler == nil {
		start = max(start, s.received.next)
	}
	if s.isOverLocked() && (s.err == nil || start == s.history.end()) {
		return s.notOpen(s.err)
	}
	if s.handler == nil {
		s.handled.next = start
		go s.handle()
	}
	s.handler = handler
	return nil
}

// handle calls the handler for one message after the other.
func (s *socket) handle() {
	for {
		m, err := s.next(&s.handled, -1)
		if err != nil || !s.call(clone(m)) {
			return
		}
	}
}

// call calls the handler, unless s is closed, and reports whether it returned.
func (s *socket) call(m client.Message) (returned bool) {
	s.mu.Lock()
	handler := s.handler
	s.mu.Unlock()
	if handler == nil {
		return false
	}
	defer func() {
		if !returned {
			s.handlerPanicked(endpoint.NewPanicError(recover()))
		}
	}()
	handler(m)
	return true
}

// handlerPanicked closes the connection with 1011. The server is not told the
// value of the panic.
func (s *socket) handlerPanicked(cause *client.PanicError) {
	err := &client.FailError{Code: wire.InternalError, Err: cause}
	s.mu.Lock()
	conn := s.conn
	s.handler = nil
	s.endLocked(err)
	s.mu.Unlock()
	s.cancel()
	if conn == nil {
		return // the connection has ended, and there is no further one
	}
	ctx, cancel := context.WithTimeout(context.Background(), client.DefaultCloseTimeout)
	defer cancel()
	_ = closeConn(ctx, conn, err.Code)
}

// messages returns copies of the newest messages.
func (s *socket) messages(limit int) []client.Message {
	s.mu.Lock()
	list := s.history.newest(limit)
	s.mu.Unlock()
	for i, m := range list {
		list[i] = clone(m)
	}
	return list
}

// clone returns m with a copy of the payload.
func clone(m client.Message) client.Message {
	m.Payload = bytes.Clone(m.Payload)
	return m
}

func (s *socket) info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := Info{
		Name:           s.name,
		URL:            s.url,
		Connected:      s.conn != nil && s.err == nil && s.conn.State() == client.Open,
		Err:            s.reasonLocked(),
		Reconnects:     s.replaced,
		Dropped:        s.history.missed(s.received),
		HandlerDropped: s.handled.missed,
	}
	if s.handler != nil {
		i.HandlerDropped = s.history.missed(s.handled)
	}
	return i
}
