package wstest

import (
	"context"
	"net"
	"sync"
)

// Listener is a net.Listener in memory. A server serves it, and clients dial it by
// DialContext, whatever address they ask for.
type Listener struct {
	links *links

	mu      sync.Mutex // guards the rest
	changed *sync.Cond
	closed  bool
	queue   []*Conn // dialed and not yet accepted
	faults  []error // what Accept returns before it accepts again
}

// Listen returns a listener. To the n-th connection, counted from 0, happens what
// plan(n) says, and nothing if plan is nil; plan is called by who dials.
func Listen(plan func(n int) Plan) *Listener {
	l := &Listener{links: newLinks(plan)}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// DialContext connects to the listener. It has the form of the field of that name
// of a client.Config or http.Transport, does not look at its arguments, and does
// not wait until the connection is accepted.
func (l *Listener) DialContext(context.Context, string, string) (net.Conn, error) {
	c, err := l.Dial()
	if err != nil {
		return nil, err // and not a *Conn that is nil
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

// FailAccept makes the next calls of Accept, one that waits too, return these
// errors, one each, before it accepts again: syscall.EMFILE is what a server gets
// that has no descriptors left.
func (l *Listener) FailAccept(errs ...error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, errs...)
	l.changed.Broadcast()
}

// Link returns what lies between the server and the client that dialed n-th,
// counted from 0. It waits until there is one, and returns nil if the listener is
// closed before.
func (l *Listener) Link(n int) *Link { return l.links.get(n) }

// Close stops listening. Connections that nobody has accepted are reset.
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

// Addr returns the address that all servers in memory have.
func (l *Listener) Addr() net.Addr { return serverAddr }
