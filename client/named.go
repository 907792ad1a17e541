package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// namedSocket is one connection of a Sockets, from the call of Connect to the
// end of the name. A goroutine of its own reads into the history; Receive and
// the handler take from there, each at its own pace.
//
//	          conn   err    history
//	dialing   nil    nil    empty
//	open      set    nil    messages come
//	ended     set    set    nothing comes; what is left can be taken
//	closed    any    set    empty: the program has no use for the connection
type namedSocket struct {
	name   string
	url    string
	once   bool               // a message is dropped when it has been taken
	giveUp context.CancelFunc // ends the dial

	mu       sync.Mutex // guards the rest
	conn     *Conn
	err      error // why the connection ended
	history  history
	received cursor        // of Receive
	handled  cursor        // of the handler
	handler  func(Message) // not nil while there is a goroutine that calls it
	changed  chan struct{} // closed when something comes or all ends; nil if nobody waits for it
}

// opened gives s its connection.
func (s *namedSocket) opened(c *Conn) {
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	go s.read(c)
}

// read receives until the connection ends. It waits for nobody but the server.
func (s *namedSocket) read(c *Conn) {
	for {
		m, err := c.Receive(context.Background())
		s.mu.Lock()
		if err != nil {
			s.endLocked(err)
		} else if s.err == nil {
			s.history.add(m)
			s.wakeLocked()
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// endLocked says why the connection ended, unless that is known.
func (s *namedSocket) endLocked(err error) {
	if s.err == nil {
		s.err = err
		s.wakeLocked()
	}
}

func (s *namedSocket) wakeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// close ends the use of s, in whatever state it is: calls that wait return, what
// has not been taken is dropped, an open connection is closed properly until ctx
// ends.
func (s *namedSocket) close(ctx context.Context, code wire.StatusCode) error {
	s.giveUp()
	s.mu.Lock()
	conn := s.conn
	if s.err != nil {
		conn = nil
	}
	s.endLocked(ErrClosed)
	s.history.dropBefore(s.history.end())
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	err := conn.Close(ctx, code, "")
	if closed := (*CloseError)(nil); err == nil || errors.As(err, &closed) {
		return nil // also if the server was faster
	}
	return &SocketError{Name: s.name, Err: err}
}

// use returns the connection if it is open.
func (s *namedSocket) use() (*Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.err != nil {
		return nil, s.notOpen(s.err)
	}
	return s.conn, nil
}

func (s *namedSocket) notOpen(cause error) error {
	return &SocketError{Name: s.name, Err: ErrSocketNotOpen, Cause: cause}
}

// failed returns the error of a call on the connection, err, as one of s if it
// is that the connection ended.
func (s *namedSocket) failed(err error) error {
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

// next returns the next message of the consumer that c belongs to; its payload
// is part of the history. It waits for timeout, forever if that is negative.
func (s *namedSocket) next(c *cursor, timeout time.Duration) (Message, error) {
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
			return Message{}, &SocketTimeoutError{Name: s.name, Missing: "message", After: timeout}
		}
	}
}

// take returns the message at c, or the error if none will come, or a channel
// that is closed when it is worth to look again.
func (s *namedSocket) take(c *cursor) (Message, <-chan struct{}, error) {
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
	case s.conn == nil || s.err != nil:
		return m, nil, s.notOpen(s.err)
	case s.changed == nil:
		s.changed = make(chan struct{})
	}
	return m, s.changed, nil
}

// onMessage sets the handler. The goroutine that calls it is there from the
// first one on, until the connection has ended and nothing is left.
func (s *namedSocket) onMessage(handler func(Message)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := max(s.handled.next, s.history.first)
	if s.handler == nil {
		start = max(start, s.received.next)
	}
	if s.conn == nil || s.err != nil && start == s.history.end() {
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
func (s *namedSocket) handle() {
	for {
		m, err := s.next(&s.handled, -1)
		if err != nil || !s.call(clone(m)) {
			return
		}
	}
}

// call calls the handler, and reports whether it returned.
func (s *namedSocket) call(m Message) (returned bool) {
	s.mu.Lock()
	handler := s.handler
	s.mu.Unlock()
	defer func() {
		if !returned {
			s.panicked(recover())
		}
	}()
	handler(m)
	return true
}

// panicked fails the connection because the handler panicked. What the handler
// said is nothing for the server.
func (s *namedSocket) panicked(value any) {
	if value == nil { // it is not that of a panic
		value = "runtime.Goexit was called"
	}
	err := &FailError{Code: wire.InternalError, Err: &PanicError{Value: value, Stack: debug.Stack()}}
	s.mu.Lock()
	conn := s.conn
	s.handler = nil
	s.endLocked(err)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), DefaultCloseTimeout)
	defer cancel()
	_ = conn.Close(ctx, err.Code, "") // it is cut at the latest when ctx ends
}

// messages returns copies of the newest messages.
func (s *namedSocket) messages(limit int) []Message {
	s.mu.Lock()
	list := s.history.newest(limit)
	s.mu.Unlock()
	for i, m := range list {
		list[i] = clone(m)
	}
	return list
}

// clone returns m with a payload of its own.
func clone(m Message) Message {
	m.Payload = bytes.Clone(m.Payload)
	return m
}

func (s *namedSocket) info() SocketInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := SocketInfo{
		Name:           s.name,
		URL:            s.url,
		Connected:      s.conn != nil && s.err == nil && s.conn.State() == Open,
		Err:            s.err,
		Dropped:        s.history.missed(s.received),
		HandlerDropped: s.handled.missed,
	}
	if s.handler != nil {
		i.HandlerDropped = s.history.missed(s.handled)
	}
	return i
}
