//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// This file serves connections with TLS by the polled loop. A secureConn lies
// between a socket and its connection:
//
//	PolledSocket   ciphertext   secureConn    plaintext   Conn
//	               Received  →  TLS.Read   →  Received
//	               Writev    ←  TLS.Write  ←  Writev
//
// TLS reads from a rawConn, which returns the bytes that the loop has read, and
// behind them a temporary error. Write of a rawConn is that of the socket, and
// does not wait. So TLS does not block, except in the handshake, which
// crypto/tls cannot continue after an error. The handshake has a goroutine from
// the client's first byte on, and its Read waits for the loop. The goroutine
// ends with the connection, whose user bounds the time of the handshake.
//
// TLS has buffers that the kernel does not know. Received calls TLS.Read until TLS
// needs more ciphertext. If Received ends earlier, because the connection is
// not ready or its turn is over, it returns a rest that is not nil, and so the
// loop calls it again.
//
// A KeyUpdate makes TLS write inside of Read. Such an answer is a reply: when
// the peer does not read, the loop reads no more from it; see
// WriteLimit.PauseRead.
//
// A TLS connection that the program has made, such as an http.Server, is over a
// net.Conn that cannot be exchanged. It is polled if that net.Conn is
// one of BelowTLS, which can be switched to a rawConn. Over a *net.TCPConn it
// is served by goroutines: no deadline makes a Read of TLS return without
// waiting when there is half a record, and the first Write that exceeds a
// deadline destroys the state of TLS.

// secureConn is a connection with TLS, as its socket sees it.
type secureConn struct {
	Conn          // the connection, which handles plaintext
	*PolledSocket // the socket, which carries ciphertext

	tls   TLS
	shake atomic.Pointer[tlsHandshake]
	err   atomic.Pointer[error] // of the handshake or of TLS.Read
	stage atomic.Uint32         // secureNew, ...

	// The owner's.
	answers uint32    // writes inside of TLS.Read
	pos     recordPos // of the ciphertext that TLS has read; in the handshake, its goroutine's
	in      []byte    // ciphertext from the loop that TLS has not read
	kept    *writeBuf // ciphertext before that
	plain   *writeBuf // plaintext that the connection was not ready for

	writing sync.Mutex // held during a Write of TLS, except for answers
	early   uint32     // bytes of the first writes; guarded by writing

	// Guarded by the socket's lock.
	sending bool    // writing is locked
	records *[]byte // ciphertext that is collected for one system call; nil: none is
}

// The stages of a secureConn.
const (
	secureNew        uint32 = iota // the client has sent nothing
	secureHandshake                // a goroutine performs the handshake
	secureOpen                     // plaintext is read and written
	secureInputEnded               // the client has sent close_notify, or closed its side
	secureFailed                   // err has ended it
)

// serveTLS is serve over TLS.
func (l *polledLoop) serveTLS(ln *net.TCPListener, secure Secure, open Open) error {
	return l.serve(ln, func(bool) (Conn, *PolledSocket) {
		conn, s := open(true)
		c := &secureConn{Conn: conn, PolledSocket: s}
		c.tls = secure((*rawConn)(c))
		return c, s
	})
}

// startTLS serves a TLS connection over below: see start.
func (l *polledLoop) startTLS(tls TLS, below *belowTLS, open Open, first []byte, ended chan struct{}) error {
	fd, addrs, err := duplicate(below.TCPConn, &l.addrs)
	if err != nil {
		return err
	}
	h := newTLSHandshake()
	h.hello.begun = true // the program may have read the ClientHello
	var c *secureConn
	err = l.add(fd, addrs, func(bool) (Conn, *PolledSocket) {
		conn, s := open(true)
		c = &secureConn{Conn: conn, PolledSocket: s, tls: tls, pos: below.pos, plain: (*writeBuf)(nil).add(first)}
		c.shake.Store(h)
		c.stage.Store(secureHandshake)
		below.raw.Store((*rawConn)(c))
		return c, s
	}, []byte{}, ended)
	if err != nil {
		syscall.Close(fd)
		return err
	}
	below.TCPConn.Close()
	l.sys.spawn(func() { c.handshake(h) }) // it is complete, unless the program has not read yet
	return nil
}

// Started begins the connection before the handshake: it has its limits.
func (c *secureConn) Started(Socket) { c.Conn.Started((*secureSocket)(c)) }

// ReadBuffer returns nil: ciphertext is read into the loop's buffer.
func (c *secureConn) ReadBuffer(int) []byte { return nil }

// Ready reports whether the handshake or the connection accepts input.
func (c *secureConn) Ready() bool {
	if h := c.shake.Load(); h != nil && !h.isOver() {
		return h.isWaiting()
	}
	return c.Conn.Ready()
}

// Received handles ciphertext.
func (c *secureConn) Received(b []byte) (rest []byte, ok bool) {
	if c.stage.Load() == secureNew {
		return c.startHandshake(b), true
	}
	if h := c.shake.Load(); h != nil {
		if rest, over := h.received(b); !over {
			return rest, true
		}
		c.kept = h.in
		c.shake.Store(nil)
	}
	if c.stage.Load() != secureOpen {
		return nil, true
	}
	return c.receive(b)
}

// One turn of a connection handles no more than maxTurnReads records with
// plaintext and, roughly, maxTurnAnswers KeyUpdates, which cost much more than
// their bytes: crypto/tls allows 16 records without plaintext before one with.
// The next turn is behind those of the other connections.
const (
	maxTurnReads   = 32
	maxTurnAnswers = 16
)

// receive decrypts and handles b, which is not nil, and the input before it.
// The rest is nil only if TLS holds no plaintext.
func (c *secureConn) receive(b []byte) (rest []byte, ok bool) {
	c.in = b
	defer func() { c.in = nil }()
	if c.plain != nil {
		if ok, more := c.deliver(c.plain.bytes()); !ok || !more {
			return c.in, ok
		}
	}
	buf := largeBuffers.Get().(*[]byte)
	defer largeBuffers.Put(buf)
	turn := turn{answers: c.answers, reads: maxTurnReads}
	for {
		p := c.Conn.ReadBuffer(maxReadBuffer)
		if p == nil {
			p = *buf
		}
		n, err := c.read(p, &turn)
		if n > 0 {
			if ok, more := c.deliver(p[:n]); !ok || !more {
				return c.in, ok
			}
		}
		switch err {
		case nil:
		case errNoInput:
			return nil, true
		case errTurnOver:
			return c.in, true
		default:
			c.endInput(err)
			return nil, true
		}
	}
}

// deliver passes plaintext to the connection, that in plain if there is any,
// and keeps the rest. ok is that of Received. more is whether the connection
// accepts more now.
func (c *secureConn) deliver(p []byte) (ok, more bool) {
	rest, ok := c.Conn.Received(p)
	if !ok {
		return false, false
	}
	if c.plain != nil {
		c.plain = c.plain.take(len(p) - len(rest))
	}
	if rest == nil {
		return true, c.Conn.Ready()
	}
	if c.plain == nil {
		c.plain = c.plain.add(rest) // which may be empty
	}
	return true, false
}

// A turn is the part of the input that is handled before it is the turn of
// other connections.
type turn struct {
	reads   int    // that are left
	answers uint32 // before the turn
}

// read fills p with plaintext. The error is the reason why it is not full: it
// is errNoInput if there is no more, errTurnOver if there may be.
func (c *secureConn) read(p []byte, turn *turn) (n int, err error) {
	for n < len(p) {
		if turn.reads == 0 || c.answers-turn.answers >= maxTurnAnswers {
			return n, errTurnOver
		}
		turn.reads--
		var m int
		m, err = c.tls.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// endInput ends the input by an error of TLS: io.EOF after close_notify, which
// is like a FIN of the client. The client can read an alert, and the output
// before it: the socket lingers.
func (c *secureConn) endInput(err error) {
	c.err.Store(&err)
	if err == io.EOF {
		c.stage.Store(secureInputEnded)
		c.Conn.InputClosed()
		c.PolledSocket.endInput()
		return
	}
	c.stage.Store(secureFailed)
	c.PolledSocket.closeWrite(false)
}

// InputClosed ends the input, which may have ended inside of a record. During a
// handshake, it is called only if that waits for input: the loop then closes
// the connection.
func (c *secureConn) InputClosed() {
	if c.stage.Load() == secureOpen {
		c.stage.Store(secureInputEnded)
		var scrap [1]byte
		_, err := c.tls.Read(scrap[:])
		c.err.Store(&err)
	}
	c.Conn.InputClosed()
}

// holdsInput reports whether the handshake has input: it may be followed by data
// that has arrived before a reset. See layer.
func (c *secureConn) holdsInput() bool {
	h := c.shake.Load()
	return h != nil && !h.isOver() && !h.isWaiting()
}

// endOutput ends the output when all input is answered: see layer.
func (c *secureConn) endOutput() bool {
	if c.stage.Load() != secureInputEnded {
		return false // there was no handshake
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	(*secureSocket)(c).closeWrite()
	c.stage.Store(secureFailed) // by io.EOF
	return true
}

// Closed ends the connection. The end of the socket is often only the effect of
// an error of TLS.
func (c *secureConn) Closed(err error) {
	if h := c.shake.Load(); h != nil {
		h.close()
	}
	if own := c.err.Load(); own != nil && (err == nil || *own != io.EOF && err != c.poller.loop.WriteTimeout.Err) {
		err = *own
	}
	c.kept.free()
	c.plain.free()
	c.kept, c.plain = nil, nil
	c.Conn.Closed(err)
}

// secureSocket is the socket of a connection with TLS, as the connection sees
// it.
type secureSocket secureConn

// Write writes all of p or fails.
func (c *secureSocket) Write(p []byte) (int, error) {
	if err := c.Writev(nil, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writev is Write for two pieces, each possibly empty.
func (c *secureSocket) Writev(head, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	switch c.stage.Load() {
	case secureNew, secureHandshake:
		return net.ErrClosed // no connection writes before it has read
	case secureFailed:
		return *c.err.Load()
	}
	c.begin(len(head) + len(payload))
	err := c.writePieces(head, payload)
	return c.end(err)
}

// writePieces encrypts and writes two pieces.
func (c *secureSocket) writePieces(head, payload []byte) error {
	pieces, memory := joinPieces(head, payload)
	defer memory.free()
	for _, p := range pieces {
		if len(p) > 0 {
			if _, err := c.tls.Write(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// TLS writes each record by itself: of up to maxRecord bytes of plaintext, and
// much smaller ones at the beginning of a connection, unless that is disabled.
const (
	maxRecord   = 16 << 10
	smallRecord = 1 << 10
	smallUntil  = 128 << 10
)

// begin begins a Write of TLS. Its records are collected if there may be
// several. The caller holds writing.
func (c *secureSocket) begin(size int) {
	several := size > maxRecord
	if c.early < smallUntil {
		c.early += uint32(min(size, smallUntil))
		several = size > smallRecord
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending = true
	if several && !c.backlogged() {
		c.records = largeBuffers.Get().(*[]byte)
		*c.records = (*c.records)[:0]
	}
}

// end ends a Write of TLS, whose error is err. It returns the error of the
// socket if that is the reason.
func (c *secureSocket) end(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending = false
	failed := c.failure()
	if c.records != nil {
		if failed == nil {
			failed = c.put(*c.records, nil)
		}
		*c.records = (*c.records)[:LargeBuffer]
		largeBuffers.Put(c.records)
		c.records = nil
	}
	if failed != nil {
		return failed
	}
	return err
}

// CloseWrite ends the output by close_notify. The socket is not closed as soon
// as the output is flushed: the peer sends a close_notify too, and the reset in
// reply to that could overtake ours.
func (c *secureSocket) CloseWrite(bool) {
	c.Conn.EndBatch()
	c.writing.Lock()
	defer c.writing.Unlock()
	c.closeWrite()
}

// closeWrite is CloseWrite. The caller holds writing.
func (c *secureSocket) closeWrite() {
	if stage := c.stage.Load(); stage == secureOpen || stage == secureInputEnded {
		c.begin(0)
		c.end(c.tls.CloseWrite()) // the socket reports its error itself
	}
	c.PolledSocket.closeWrite(false)
}

// rawConn is a connection with TLS as TLS sees it: the net.Conn that carries
// ciphertext.
type rawConn secureConn

// Read reads ciphertext. In the handshake it waits for that; otherwise it
// returns errNoInput if there is none.
func (c *rawConn) Read(p []byte) (n int, err error) {
	switch {
	case c.stage.Load() == secureHandshake:
		return c.shake.Load().read(p, &c.pos, c.Resume)
	case c.kept != nil:
		n = c.pos.read(p, c.kept.bytes())
		c.kept = c.kept.take(n)
	case len(c.in) > 0:
		n = c.pos.read(p, c.in)
		c.in = c.in[n:]
	case c.stage.Load() == secureInputEnded:
		return 0, io.EOF
	default:
		return 0, errNoInput
	}
	return n, nil
}

// Write writes a record. If no Write of TLS is under way, it is an answer of
// TLS.Read, or a part of the handshake.
func (c *rawConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.failure()
	switch {
	case err != nil:
	case !c.sending:
		c.answers++
		err = c.putAnswer(p)
	case c.records == nil:
		err = c.put(nil, p)
	case len(*c.records)+len(p) <= cap(*c.records):
		*c.records = append(*c.records, p...)
	default:
		err = c.put(*c.records, p)
		*c.records = (*c.records)[:0]
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// putAnswer is put for an answer to input. It counts as a reply, also while a
// sender waits for space. The caller holds mu.
func (s *PolledSocket) putAnswer(p []byte) error {
	waits := s.conn.WriterBlocked()
	before := s.out.size()
	err := s.put(nil, p)
	if n := s.out.size() - before; waits && n > 0 {
		s.ensureExt().replies += n
	}
	return err
}

// Close is called by TLS if its context ends the handshake, and by
// tls.Conn.Close, which is not called.
func (c *rawConn) Close() error { return c.Abort() }

// Deadlines have no effect: Write does not wait, and Closed ends the Read of
// the handshake. TLS sets a deadline when it closes.
func (c *rawConn) SetDeadline(time.Time) error      { return nil }
func (c *rawConn) SetReadDeadline(time.Time) error  { return nil }
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }

// noInputError is the error of a Read without input. TLS continues behind an
// error that is temporary.
type noInputError struct{}

func (noInputError) Error() string   { return "websocket: no input" }
func (noInputError) Timeout() bool   { return true }
func (noInputError) Temporary() bool { return true }

var (
	errNoInput  error = noInputError{}
	errTurnOver       = errors.New("websocket: the turn is over")
)
