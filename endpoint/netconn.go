package endpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// MessageConn is the part of client.Conn and server.Conn that NewNetConn uses.
type MessageConn interface {
	ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error)
	Send(op wire.Opcode, p []byte) error
	Close(code wire.StatusCode, reason string) error
	CloseNow() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// NewNetConn returns a net.Conn over the messages of type op, Text or Binary,
// of c. The methods NetConn of client.Conn and server.Conn call it.
//
// Read returns the payloads one after another: the boundaries of messages are
// lost. A message is received whole before Read returns its first byte, within
// Limits.Message. Read returns io.EOF after a Close with 1000 or 1001, and
// otherwise the error of c. A message of another type is an error and closes c
// with 1003; a read deadline that passes during that cuts the connection.
//
// Write sends one message, or several of at most 32 KiB. A text must be UTF-8,
// each Write for itself: use Binary for bytes.
//
// After a read deadline the connection is usable and no byte is lost. A write
// deadline that passes during a Write ends the connection, because the peer may
// have half a frame. Deadlines apply to pending calls, and their error is
// os.ErrDeadlineExceeded.
//
// Close performs the closing handshake with 1000. Pending calls return
// ErrClosed: a Read at once, a Write to a peer that does not read within
// CloseTimeout. There is no CloseWrite: a Close frame ends both directions (RFC
// 6455, Section 5.5.1).
//
// Any number of goroutines may call the methods. The methods of c that receive
// must not be called any more.
func NewNetConn(c MessageConn, op wire.Opcode) net.Conn { return &netConn{conn: c, opcode: op} }

// netConn is the type of NewNetConn.
type netConn struct {
	conn   MessageConn
	opcode wire.Opcode
	closed atomic.Bool // Close was called

	reading sync.Mutex // held during a Read; guards the next three fields
	message []byte     // the buffer of the last message
	rest    []byte     // the part of message that is not read yet
	failed  error      // a message of another type was received

	writing sync.Mutex // held during a Write

	readDeadline, writeDeadline netDeadline
}

// maxNetMessage is the size, in bytes, of the largest message of a Write. Some
// receivers accept no larger ones by default.
const maxNetMessage = 32 << 10

// maxNetBuffer bounds the buffer, in bytes, that is kept for the next message.
const maxNetBuffer = 64 << 10

// errOtherType is the error of Read after a message of another type.
var errOtherType = &wire.Error{Code: wire.UnsupportedData, Reason: "message of another type than that of the NetConn"}

func (n *netConn) Read(p []byte) (int, error) {
	n.reading.Lock()
	defer n.reading.Unlock()
	for {
		ctx := n.readDeadline.context()
		switch {
		case n.closed.Load():
			return 0, ErrClosed
		case ctx.Err() != nil:
			return 0, os.ErrDeadlineExceeded
		case len(n.rest) > 0 || len(p) == 0:
			read := copy(p, n.rest)
			n.rest = n.rest[read:]
			return read, nil
		case n.failed != nil:
			return 0, n.failed
		}
		if err := n.receive(ctx); err != nil {
			return 0, err
		}
	}
}

// receive receives the next message.
func (n *netConn) receive(ctx context.Context) error {
	if cap(n.message) > maxNetBuffer {
		n.message = nil
	}
	op, message, err := n.conn.ReceiveInto(ctx, n.message[:0])
	var closed *CloseError
	switch {
	case err == nil && op == n.opcode:
		n.message, n.rest = message, message
		return nil
	case err == nil:
		n.failed = errOtherType
		stop := n.cutAfter(ctx)                 // Close may wait for the peer
		_ = n.conn.Close(errOtherType.Code, "") // it fails only if the connection has ended
		stop()
		err = n.failed
	case ctx.Err() != nil: // err may wrap it, or report a Write that passed its deadline
		err = os.ErrDeadlineExceeded
	case errors.As(err, &closed) && (closed.Code == wire.NormalClosure || closed.Code == wire.GoingAway):
		err = io.EOF
	}
	if n.closed.Load() {
		return ErrClosed
	}
	return err
}

// cutAfter closes the connection without a closing handshake when ctx, a
// deadline, ends before stop is called.
func (n *netConn) cutAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { n.conn.CloseNow() })
}

func (n *netConn) Write(p []byte) (written int, err error) {
	n.writing.Lock()
	defer func() {
		n.writing.Unlock()
		n.stopWriteDeadline()
	}()
	ctx := n.writeDeadline.context()
	switch {
	case n.closed.Load():
		return 0, ErrClosed
	case ctx.Err() != nil:
		return 0, os.ErrDeadlineExceeded
	}
	stop := n.cutAfter(ctx)
	for written < len(p) && err == nil {
		piece := n.firstPiece(p[written:])
		if err = n.conn.Send(n.opcode, piece); err == nil {
			written += len(piece)
		}
	}
	switch {
	case !stop() && ctx.Err() != nil:
		err = os.ErrDeadlineExceeded
	case err != nil && n.closed.Load():
		err = ErrClosed
	}
	return written, err
}

// firstPiece returns the beginning of p for one message. It does not end inside
// a code point of a text.
func (n *netConn) firstPiece(p []byte) []byte {
	if len(p) <= maxNetMessage {
		return p
	}
	end := maxNetMessage
	if n.opcode == wire.Text {
		for end > maxNetMessage-utf8.UTFMax && !utf8.RuneStart(p[end]) {
			end--
		}
	}
	return p[:end]
}

func (n *netConn) Close() error {
	if n.closed.Swap(true) {
		return ErrClosed
	}
	n.readDeadline.set(time.Unix(1, 0)) // a pending Read returns
	err := n.conn.Close(wire.NormalClosure, "")
	n.stopWriteDeadline()
	if closed := (*CloseError)(nil); errors.As(err, &closed) {
		return nil // the peer was first
	}
	return err
}

func (n *netConn) LocalAddr() net.Addr  { return n.conn.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.conn.RemoteAddr() }

func (n *netConn) SetDeadline(t time.Time) error {
	// The read deadline first: if both have passed, a pending Write ends the
	// connection, and a pending Read must not see that as its error.
	if err := n.SetReadDeadline(t); err != nil {
		return err
	}
	return n.SetWriteDeadline(t)
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	if n.closed.Load() {
		return ErrClosed
	}
	n.readDeadline.set(t)
	if n.closed.Load() { // a Close at the same time
		n.readDeadline.set(time.Unix(1, 0))
	}
	return nil
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	if n.closed.Load() {
		return ErrClosed
	}
	n.writeDeadline.set(t)
	n.stopWriteDeadline() // a Close at the same time
	return nil
}

// stopWriteDeadline stops the timer of the write deadline after Close, unless a
// Write is pending: the deadline applies to that.
func (n *netConn) stopWriteDeadline() {
	if n.closed.Load() && n.writing.TryLock() {
		n.writeDeadline.set(time.Time{})
		n.writing.Unlock()
	}
}

// netDeadline is a deadline as a context, for pending and later calls.
type netDeadline struct {
	mu     sync.Mutex // guards the rest
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // nil: none runs
}

// context returns a context that ends at the deadline.
func (d *netDeadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.contextLocked()
}

func (d *netDeadline) contextLocked() context.Context {
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancel(context.Background())
	}
	return d.ctx
}

// set sets the deadline; zero means none.
func (d *netDeadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ctx != nil && d.ctx.Err() != nil {
		d.ctx = nil // the deadline had passed
	}
	d.contextLocked()
	wait := time.Until(t)
	switch {
	case t.IsZero():
	case wait <= 0:
		d.cancel()
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.timer == timer { // otherwise the deadline was replaced
				d.timer = nil
				d.cancel()
			}
		})
		d.timer = timer
	}
}
