//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"net"
	"sync"
)

// This file performs the TLS handshakes of the polled loop: see tls.go.

// A tlsHandshake is the input of a handshake: the loop writes it, and the
// handshake's goroutine reads it.
type tlsHandshake struct {
	mu      sync.Mutex // guards the rest; locked last
	changed sync.Cond
	in      *writeBuf
	waits   bool // the goroutine needs more input than in
	over    bool // the goroutine has ended
	closed  bool // the connection has ended: there will be no more input

	hello helloSplitter // the goroutine's
}

func newTLSHandshake() *tlsHandshake {
	h := new(tlsHandshake)
	h.changed.L = &h.mu
	return h
}

// maxHandshakeInput bounds tlsHandshake.in. The rest waits in the socket.
const maxHandshakeInput = 16 << 10

// startHandshake starts the handshake with its first input.
func (c *secureConn) startHandshake(b []byte) (rest []byte) {
	h := newTLSHandshake()
	rest = h.put(b)
	c.shake.Store(h)
	c.stage.Store(secureHandshake)
	c.poller.sys.spawn(func() { c.handshake(h) })
	return rest
}

// received adds input for the handshake, and reports whether that is over: then
// only the owner of the socket uses h.
func (h *tlsHandshake) received(b []byte) (rest []byte, over bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return b, true
	case len(b) == 0 && h.waits:
		return nil, false
	case len(b) == 0:
		return b, false // it may end before the loop sees that the connection is not ready
	}
	rest = h.put(b)
	h.changed.Signal()
	return rest, false
}

// put adds input. The rest is not nil: it causes another call of Received, when
// the handshake is over or needs more. The caller holds mu, unless no other
// goroutine has h.
func (h *tlsHandshake) put(b []byte) (rest []byte) {
	n := min(len(b), maxHandshakeInput-h.in.size())
	h.in, h.waits = h.in.add(b[:n]), false
	return b[n:]
}

// isOver reports whether the goroutine has ended.
func (h *tlsHandshake) isOver() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// isWaiting reports whether the goroutine needs input.
func (h *tlsHandshake) isWaiting() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waits
}

// close ends the input: a Read without input fails.
func (h *tlsHandshake) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.changed.Signal()
}

// read reads input, and waits for it. It calls wait before that.
func (h *tlsHandshake) read(p []byte, pos *recordPos, wait func()) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.await(h.hello.needs(), wait)
	if h.in != nil && !h.hello.begun {
		h.in = h.in.take(h.hello.begin(h.in.bytes()))
		h.await(h.hello.needs(), wait)
	}
	switch {
	case h.in == nil:
		return 0, net.ErrClosed
	case h.hello.left > 0:
		var taken int
		n, taken = h.hello.read(p, h.in.bytes())
		h.in = h.in.take(taken)
	default:
		n = pos.read(p, h.in.bytes())
		h.in = h.in.take(n)
	}
	return n, nil
}

// await waits until in has size bytes, or the connection has ended. The caller
// holds mu.
func (h *tlsHandshake) await(size int, wait func()) {
	for h.in.size() < size && !h.closed {
		if !h.waits {
			h.waits = true
			h.mu.Unlock()
			wait()
			h.mu.Lock()
			continue
		}
		h.changed.Wait()
	}
}

// handshake performs the handshake. If a function of the TLS configuration does
// not return, the connection ends.
func (c *secureConn) handshake(h *tlsHandshake) {
	returned := false
	defer func() {
		if returned {
			return
		}
		err := c.Conn.Panicked(recover(), true)
		if err == nil {
			err = net.ErrClosed
		}
		c.endHandshake(h, secureFailed, err)
		c.Abort()
	}()
	err := c.tls.Handshake()
	returned = true
	if err != nil {
		c.endHandshake(h, secureFailed, err)
		c.PolledSocket.closeWrite(false) // behind the alert
		return
	}
	c.endHandshake(h, secureOpen, nil)
	c.Resume()
}

// endHandshake notes the result of the handshake.
func (c *secureConn) endHandshake(h *tlsHandshake, stage uint32, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		c.err.Store(&err)
	}
	c.stage.Store(stage)
	h.over = true
}
