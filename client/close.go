package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/fibersock/fibersock/internal/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Close closes the connection properly (RFC 6455, Section 7): it sends a Close
// with code and reason, an empty one if code is 0, waits for the server's, and
// then for the server to close TCP. It takes until ctx ends or
// Config.CloseTimeout is over at most, and then cuts the connection. Messages
// that come meanwhile are kept for Receive, unless there is more than 1 MiB of
// them that nobody receives: then they are dropped.
//
// Close returns nil if the closing handshake came to its end, whatever code the
// server answered. A code or reason that cannot be sent is a *wire.Error, and
// the connection stays open. If the connection has ended already, the error
// says why; if another Close is under way, it is ErrClosed.
func (c *Conn) Close(ctx context.Context, code wire.StatusCode, reason string) error {
	if c.closeWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.closeWait)
		defer cancel()
	}
	// A writer that is stalled has the engine's lock until the connection is cut.
	stop := context.AfterFunc(ctx, func() { c.CloseNow() })
	defer stop()

	if err := c.endpoint.Close(code, reason); err != nil {
		return err
	}
	c.awaitClose(ctx)
	err := c.endpoint.Err()
	if _, ok := err.(*CloseError); ok {
		return nil
	}
	if ctx.Err() != nil {
		return &closeTimeout{ctx.Err()}
	}
	return err
}

// closeTimeout is why a closing handshake was cut short.
type closeTimeout struct{ err error }

func (e *closeTimeout) Error() string {
	return "websocket: connection cut, because the closing handshake was not done in time (CloseTimeout or the context): " + e.err.Error()
}

func (e *closeTimeout) Unwrap() error { return e.err }

// awaitClose returns when the connection is gone. If nobody else receives, it
// reads until the server's Close comes.
func (c *Conn) awaitClose(ctx context.Context) {
	c.takeTurnFromReader()
	for {
		select {
		case <-c.gone:
			return
		case c.turn <- struct{}{}:
			err := c.receiveForLater(ctx)
			if c.overfull() {
				c.dropKept()
			}
			c.giveTurn()
			if err != nil {
				<-c.gone // cut at the end of ctx at the latest
				return
			}
		}
	}
}

// takeTurnFromReader abandons a reader that nobody is reading from.
func (c *Conn) takeTurnFromReader() {
	c.abandoning.Lock()
	defer c.abandoning.Unlock()
	if !c.receiving.CompareAndSwap(false, true) {
		return // a call receives, and gives the turn when it returns
	}
	if c.reader != nil {
		c.abandonReader()
		c.giveTurn()
	}
	c.receiving.Store(false)
}

// CloseNow cuts the connection, without a closing handshake. Calls that wait
// return ErrClosed. It may be called at any time, any number of times.
func (c *Conn) CloseNow() error {
	err := c.endpoint.Cut(nil, c.socket.Close)
	c.closing.Do(func() { close(c.gone) })
	if errors.Is(err, net.ErrClosed) {
		return nil // it was cut before
	}
	return err
}

// failureWait is how long the server is given to take the Close that says why the
// connection failed.
const failureWait = time.Second

// part goes through the end of the closing handshake, in the background: after
// both Close frames the server closes TCP first, and this side waits for it
// (Section 7.1.1). After a failure this side closes.
func (c *Conn) part(kind endpoint.Kind) {
	c.closing.Do(func() {
		go func() {
			defer close(c.gone)
			wait := c.closeWait
			if kind == endpoint.Failed {
				wait = failureWait
				c.socket.Finish(wait)
			}
			c.socket.Drain(wait)
		}()
	})
}

// lost ends the connection after its transport did, and returns why.
func (c *Conn) lost(cause error) error {
	err := c.endpoint.Lost(cause, c.socket.Close)
	c.closing.Do(func() { close(c.gone) })
	return err
}
