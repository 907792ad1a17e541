package wstest

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener in memory. Clients connect by DialContext, with
// any address.
type Listener struct {
	links *links

	mu      sync.Mutex // guards the following fields
	changed *sync.Cond
	closed  bool
	queue   []*Conn // dialed and not accepted
	faults  []error // of the next calls of Accept
}

// Listen returns a listener. The n-th connection, counted from 0, has the
// faults of plan(n), by default none. plan is called by the goroutine that
// dials.
func Listen(plan func(n int) Plan) *Listener {
	l := &Listener{links: newLinks(plan)}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// DialContext connects to the listener, for the field DialContext of a
// client.Config or http.Transport. It ignores its arguments and does not wait
// for Accept.
func (l *Listener) DialContext(context.Context, string, string) (net.Conn, error) {
	c, err := l.Dial()
	if err != nil {
		return nil, err // not a nil *Conn
	}
	return c, nil
}

// Dial connects to the listener.
func (l *Listener) Dial() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: serverAddr, Err: ErrReset}
	}
	client, server := ends(l.links.add())
	l.queue = append(l.queue, server)
	l.changed.Signal()
	return client, nil
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: serverAddr, Err: net.ErrClosed}
		case len(l.faults) > 0:
			err := l.faults[0]
			l.faults = l.faults[1:]
			return nil, err
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue = l.queue[1:]
			return c, nil
		}
		l.changed.Wait()
	}
}

// FailAccept makes the next calls of Accept, also a blocked one, return these
// errors, one each. Without free descriptors a server gets syscall.EMFILE, for
// instance.
func (l *Listener) FailAccept(errs ...error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, errs...)
	l.changed.Broadcast()
}

// Link waits for the n-th connection, counted from 0, and returns its link. It
// returns nil if the listener is closed first.
func (l *Listener) Link(n int) *Link { return l.links.get(n) }

// Close stops listening. Connections that are not accepted are reset.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: serverAddr, Err: net.ErrClosed}
	}
	l.closed = true
	l.links.close()
	for _, c := range l.queue {
		c.Reset()
	}
	l.queue = nil
	l.changed.Broadcast()
	return nil
}

// Addr returns the address of all servers in memory.
func (l *Listener) Addr() net.Addr { return serverAddr }
