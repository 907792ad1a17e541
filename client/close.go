package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"github.com/fibersock/fibersock/endpoint"
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
// says why; if another Close is under way, it is ErrClosed. In each case the
// transport is closed, or soon will be.
func (c *Conn) Close(ctx context.Context, code wire.StatusCode, reason string) error {
	var space [wire.MaxControlPayload]byte
	if _, err := wire.AppendClosePayload(space[:0], code, reason); err != nil {
		return err
	}
	if c.closeWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.closeWait)
		defer cancel()
	}
	// A writer that is stalled has the engine's lock until the connection is cut.
	stop := context.AfterFunc(ctx, func() { c.cut(nil) })
	defer stop()

	failed, awaits := c.sendClose(code, reason)
	if !awaits {
		return failed
	}
	if lost := (*LostError)(nil); errors.As(failed, &lost) {
		// The transport ended while something was sent. The server's Close, which
		// says why, may still be read (RFC 6455, Section 7.1.5).
		defer time.AfterFunc(failureWait, func() { c.cut(lost.Err) }).Stop()
		c.awaitClose(ctx)
		if err := c.endpoint.Err(); err != ErrClosed {
			return err
		}
		return failed
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

// sendClose sends the Close frame. It reports whether the call is to wait for the end
// of the connection: no if it has ended, or if another Close waits.
func (c *Conn) sendClose(code wire.StatusCode, reason string) (err error, awaits bool) {
	c.closeCall.Lock()
	defer c.closeCall.Unlock()
	err = c.endpoint.Close(code, reason)
	awaits = err == nil || c.endpoint.Err() == nil && !c.closeAwaited
	c.closeAwaited = c.closeAwaited || awaits
	return err, awaits
}

// closeTimeout is why a closing handshake was cut short.
type closeTimeout struct{ err error }

func (e *closeTimeout) Error() string {
	return "websocket: connection cut, because the closing handshake was not done in time (CloseTimeout or the context): " + e.err.Error()
}

func (e *closeTimeout) Unwrap() error { return e.err }

// readerGrace is the time that a reader is given, once the connection is closing, to
// be read from.
const readerGrace = 100 * time.Millisecond

// awaitClose returns when the transport is closed. If no other call receives, it reads
// until the server's Close arrives.
func (c *Conn) awaitClose(ctx context.Context) {
	c.takeTurnFromReader()
	grace := time.NewTimer(readerGrace)
	defer grace.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-c.parked:
			grace.Reset(readerGrace)
		case <-grace.C:
			select {
			case <-c.parked: // it was read from just now
				grace.Reset(readerGrace)
			default:
				c.takeTurnFromReader()
			}
		case c.readLock.held <- struct{}{}:
			err := c.receiveForLater(ctx)
			if c.overfull() {
				c.dropKept()
			}
			c.readLock.unlock()
			if err != nil {
				<-c.gone // cut at the end of ctx at the latest
				return
			}
		}
	}
}

// takeTurnFromReader takes the turn from a reader that no call reads from. If the rest
// of its message has arrived, the reader keeps that. Otherwise it is abandoned.
func (c *Conn) takeTurnFromReader() {
	c.abandoning.Lock()
	defer c.abandoning.Unlock()
	if !c.receiving.CompareAndSwap(false, true) {
		return // a call receives, and gives the turn when it returns
	}
	if r := c.reader; r != nil {
		if r.final {
			r.piece = bytes.Clone(r.piece)
			c.reader = nil
		} else {
			c.abandonReader()
		}
		c.readLock.unlock()
	}
	c.receiving.Store(false)
}

// CloseNow cuts the connection, without a closing handshake. Calls that wait
// return ErrClosed, and messages that have arrived are dropped. It may be called at
// any time, any number of times.
func (c *Conn) CloseNow() error {
	c.discarded.Store(true)
	return c.cut(nil)
}

// cutByProgram returns nil, or, after CloseNow, the reason why the connection ended.
func (c *Conn) cutByProgram() error {
	if !c.discarded.Load() {
		return nil
	}
	if err := c.endpoint.Err(); err != nil {
		return err
	}
	return ErrClosed // CloseNow is about to cut it
}

// cut cuts the connection because of why, or, if it is nil, because the program wants
// it.
func (c *Conn) cut(why error) error {
	_, err := c.endpoint.Abort(why, c.socket.Close)
	c.closing.Do(func() { close(c.gone) })
	if errors.Is(err, net.ErrClosed) {
		return nil // it was cut before
	}
	return err
}

// failureWait is how long the server is given to take the Close that says why the
// connection failed.
const failureWait = time.Second

// answerGrace is the time that a call which receives the server's Close gives the
// answer to be written, so that CloseNow, or the end of the program, after that call does
// not take it away. It takes longer only if the server does not read.
const answerGrace = 100 * time.Millisecond

// part goes through the end of the closing handshake, in the background: after
// both Close frames the server closes TCP first, and this side waits for it
// (Section 7.1.1). After a failure this side closes. It returns when our Close is
// written, or ctx ends, or after answerGrace.
func (c *Conn) part(ctx context.Context, kind endpoint.Kind) {
	var answered chan struct{} // nil: the transport is ending already
	c.closing.Do(func() {
		answered = make(chan struct{})
		go func() {
			defer close(c.gone)
			wait := c.closeWait
			if kind == endpoint.KindFailed {
				wait = failureWait
			}
			c.answerClose(wait)
			close(answered)
			if kind == endpoint.KindFailed {
				c.socket.Finish(wait)
			}
			c.socket.Drain(wait)
		}()
	})
	if answered == nil {
		return
	}
	grace := time.NewTimer(answerGrace)
	defer grace.Stop()
	select {
	case <-answered:
	case <-ctx.Done():
	case <-grace.C:
	}
}

// answerClose sends the Close that answers the server's or reports a failure. It waits
// for a writer that is stalled, but cuts the connection if wait is over; 0 or less means
// no limit.
func (c *Conn) answerClose(wait time.Duration) {
	if wait > 0 {
		defer time.AfterFunc(wait, func() { c.socket.Close() }).Stop()
	}
	c.endpoint.FlushControl()
}

// lost ends the connection after its transport did, and returns why.
func (c *Conn) lost(cause error) error {
	if late := c.transport.TimedOut(); late != nil {
		cause = late // of which cause is the effect
	}
	err := c.endpoint.TransportClosed(tlsFailure(cause), c.socket.Close)
	c.closing.Do(func() { close(c.gone) })
	return err
}
