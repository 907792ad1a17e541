package server

import "context"

// lifetime is the context of a connection.
type lifetime struct {
	context.Context
	cancel context.CancelCauseFunc
}

// Context returns a context that ends when the connection has ended; its cause
// is Err. Pass it to calls that are made for the client, so that they do not
// outlive the connection. In Handler.Serve and for a connection of Accept, it
// has the values of Handshake.Context: with package httpupgrade, those of the
// context of the http.Request. The first call allocates it.
func (c *Conn) Context() context.Context {
	ext := c.ensureExt()
	if l := ext.lifetime.Load(); l != nil {
		return l.Context
	}
	base := context.Background()
	if b := c.mailbox(); b != nil && b.base != nil {
		base = context.WithoutCancel(b.base)
	}
	l := new(lifetime)
	l.Context, l.cancel = context.WithCancelCause(base)
	if !ext.lifetime.CompareAndSwap(nil, l) {
		return ext.lifetime.Load().Context
	}
	if c.phase.load() == phaseEnded {
		l.cancel(c.Err())
	}
	return l.Context
}

// endContext ends the context. The phase is phaseEnded.
func (c *Conn) endContext() {
	if ext := c.ext.Load(); ext != nil {
		if l := ext.lifetime.Load(); l != nil {
			l.cancel(c.Err())
		}
	}
}

// Value returns Conn.Value as a T. It reports false if there is no value, or
// one of another type.
//
//	user, ok := server.Value[*User](c)
func Value[T any](c *Conn) (T, bool) {
	v, ok := c.Value().(T)
	return v, ok
}
