package client

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Close performs the closing handshake (RFC 6455, Section 7): it sends a Close
// with the code and reason, or an empty one if code is 0, reads until the
// server's Close arrives, and waits until the server closes TCP. Messages
// before the server's Close are kept for Receive, up to 1 MiB; more than that
// is discarded if no call receives it. After Config.CloseTimeout Close closes
// the connection without the server.
//
// Close returns nil if the server's Close has arrived, with any code. A code
// or reason that cannot be sent is a *wire.Error, and the connection stays
// open. If the connection has ended before, the error is the reason. If
// another Close is under way, it is ErrClosed. After CloseTimeout it is a
// *LostError with a *TimeoutError. In all cases but the first two, the
// transport is closed or will be within CloseTimeout.
func (c *Conn) Close(code wire.StatusCode, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	var expire *time.Timer // nil: no limit
	if c.closeTimeout > 0 {
		// A blocked writer holds the engine's lock until the transport is closed.
		expire = time.AfterFunc(c.closeTimeout, c.closeExpired)
	}
	err, waits := c.sendClose(code, reason, true)
	if waits {
		err = c.awaitEnd(err)
	}
	if expire != nil {
		expire.Stop()
	}
	return err
}

// awaitEnd waits for the end of the connection and returns the error of Close.
// failed is the error of the write of the Close frame.
func (c *Conn) awaitEnd(failed error) error {
	if lost, ok := failed.(*LostError); ok {
		// The transport ended during a write. The server's Close, which tells
		// the reason, may still be readable (RFC 6455, Section 7.1.5).
		cut := time.AfterFunc(failureWait, func() { c.cut(lost.Err) })
		c.awaitClose()
		cut.Stop()
		if err := c.endpoint.Err(); err != ErrClosed {
			return err
		}
		return failed
	}
	c.awaitClose()
	err := c.endpoint.Err()
	if _, closed := err.(*CloseError); closed {
		return nil
	}
	return err
}

// SendClose sends a Close with the code and reason, or an empty one if code is
// 0, and does not wait for the closing handshake. Nothing can be sent after
// it. The application can receive messages until the server's Close arrives,
// which the call that receives returns as a *CloseError. The connection is
// closed after Config.CloseTimeout at the latest, and a call that receives
// then returns a *LostError with a *TimeoutError. The errors are those of
// Close.
func (c *Conn) SendClose(code wire.StatusCode, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	if c.closeTimeout > 0 && c.State() == Open {
		time.AfterFunc(c.closeTimeout, c.closeExpired)
	}
	err, _ := c.sendClose(code, reason, false)
	return err
}

// checkClose returns an error if code and reason cannot be sent.
func checkClose(code wire.StatusCode, reason string) error {
	var space [wire.MaxControlPayload]byte
	_, err := wire.AppendClosePayload(space[:0], code, reason)
	return err
}

// sendClose sends the Close frame. If the caller is ready to wait, it reports
// whether it must: not if the connection has ended, and not if another Close
// waits.
func (c *Conn) sendClose(code wire.StatusCode, reason string, ready bool) (err error, waits bool) {
	c.closeMu.Lock()
	err = c.endpoint.Close(code, reason)
	waits = ready && (err == nil || c.endpoint.Err() == nil && !c.closeAwaited)
	c.closeAwaited = c.closeAwaited || waits
	c.closeMu.Unlock()
	return err, waits
}

// closeExpired closes the connection after CloseTimeout.
func (c *Conn) closeExpired() {
	c.cut(&TimeoutError{Missing: "Close of the server", After: c.closeTimeout, Option: "CloseTimeout"})
}

// readerGrace is the time, once the connection is closing, in which the
// application must read from a reader for the reader to keep the read lock.
const readerGrace = 100 * time.Millisecond

// awaitClose returns when the transport is closed. While no other call
// receives, it reads from the socket.
func (c *Conn) awaitClose() {
	c.stealReadLock()
	grace := time.NewTimer(readerGrace)
	for {
		select {
		case <-c.done:
			return
		case <-c.readerIdle:
			grace.Reset(readerGrace)
		case <-grace.C:
			select {
			case <-c.readerIdle: // a Read has just returned
				grace.Reset(readerGrace)
			default:
				c.stealReadLock()
			}
		case c.readLock.held <- struct{}{}:
			err := c.receiveForLater(context.Background())
			if c.keptTooMuch() {
				c.dropKept()
			}
			c.readLock.unlock()
			if err != nil {
				<-c.done // after CloseTimeout at the latest
				return
			}
		}
	}
}

// stealReadLock takes the read lock from a reader that is not in a Read: see
// messageReader.yield.
func (c *Conn) stealReadLock() {
	c.stealing.Lock()
	if c.receiving.CompareAndSwap(false, true) { // otherwise a call receives, and unlocks when it returns
		if c.reader != nil {
			c.reader.yield()
			c.readLock.unlock()
		}
		c.receiving.Store(false)
	}
	c.stealing.Unlock()
}

// CloseNow closes the connection without a closing handshake. Calls that wait
// return ErrClosed, and messages that have not been received are discarded. It
// does not block, and may be called at any time and more than once.
func (c *Conn) CloseNow() error {
	c.cutCalled.Store(true)
	return c.cut(nil)
}

// cutErr returns the reason why the connection ended if CloseNow was called,
// nil if it was not.
func (c *Conn) cutErr() error {
	if !c.cutCalled.Load() {
		return nil
	}
	if err := c.endpoint.Err(); err != nil {
		return err
	}
	return ErrClosed // CloseNow is about to record it
}

// cut closes the transport without a closing handshake because of cause, nil
// if the application wants it.
func (c *Conn) cut(cause error) error {
	_, err := c.endpoint.Abort(cause, c.socket.Close)
	c.noteClosed()
	if errors.Is(err, net.ErrClosed) {
		return nil // cut before
	}
	return err
}

// failureWait is the time in which the server can read the Close that tells
// why the connection failed.
const failureWait = time.Second

// answerGrace is the time that a call which receives the server's Close waits
// for the answer to be written, so that CloseNow, or the end of the process,
// after that call does not prevent it.
const answerGrace = 100 * time.Millisecond

// closeTransport ends the closing handshake in the background. After both
// Close frames the server closes TCP first, and this side waits for it
// (RFC 6455, Section 7.1.1). After a failure this side closes. closeTransport
// returns when our Close is written, or ctx ends, or after answerGrace.
func (c *Conn) closeTransport(ctx context.Context, kind endpoint.Kind) {
	if !c.closing.CompareAndSwap(false, true) {
		return
	}
	answered := make(chan struct{})
	go func() {
		wait := c.closeTimeout
		if kind == endpoint.KindFailed {
			wait = failureWait
		}
		c.writeAnswer(wait)
		close(answered)
		if kind == endpoint.KindFailed {
			c.socket.CloseWriteWithin(wait)
		}
		c.socket.Linger(wait)
		close(c.done)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
	case <-time.After(answerGrace):
	}
}

// writeAnswer returns when the Close that answers the server's or reports a
// failure is written. It waits for a blocked writer, and closes the transport
// after wait; 0 or less is no limit.
func (c *Conn) writeAnswer(wait time.Duration) {
	timer := c.socket.CloseAfter(wait)
	c.endpoint.FlushControl()
	timer.Stop()
}

// noteClosed closes done, unless closeTransport does that later.
func (c *Conn) noteClosed() {
	if c.closing.CompareAndSwap(false, true) {
		close(c.done)
	}
}

// transportClosed records the end of the transport and returns the reason why
// the connection ended.
func (c *Conn) transportClosed(cause error) error {
	if timeout := c.transport.TimedOut(); timeout != nil {
		cause = timeout // which led to cause
	}
	err := c.endpoint.TransportClosed(tlsFailure(cause), c.socket.Close)
	c.noteClosed()
	return err
}
