//go:build unix

package netloop

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// directConn is a socket that makes system calls that do not wait, inside
// RawConn.Write and RawConn.Read. A net.Conn needs a deadline for a Write that
// must not wait.
type directConn struct {
	net.Conn
	raw   syscall.RawConn // nil: the system calls do not work
	state atomic.Uint32
}

// The states of a directConn. Until RawConn.Read has returned, Close of the
// socket waits: a handler that runs inside RawConn.Read must not call it.
const (
	directIdle    uint32 = iota
	directReading        // RawConn.Read is running
	directAborted        // the same, and the socket is shut down: it is closed when RawConn.Read returns
	directClosed         // Close was called
)

func (d *directConn) init(socket net.Conn) {
	d.Conn = socket
	if s, ok := socket.(syscall.Conn); ok {
		d.raw, _ = s.SyscallConn()
	}
}

// works reports whether the system calls work.
func (d *directConn) works() bool { return d.raw != nil }

// directWrite is a system call. It is lent by a pool, because an argument of
// RawConn.Write is allocated.
type directWrite struct {
	p    []byte
	n    int
	err  error
	call func(fd uintptr) bool
}

var directWrites = sync.Pool{New: func() any {
	w := new(directWrite)
	w.call = w.write
	return w
}}

func (w *directWrite) write(fd uintptr) bool {
	w.n, w.err = sysWrite(int32(fd), w.p)
	return true
}

// write writes as much of p as the socket accepts at once.
func (d *directConn) write(p []byte) (n int, err error) {
	w := directWrites.Get().(*directWrite)
	w.p = p
	err = d.raw.Write(w.call)
	if n = w.n; err == nil && w.err != nil && w.err != syscall.EAGAIN {
		err = os.NewSyscallError("write", w.err)
	}
	*w = directWrite{call: w.call}
	directWrites.Put(w)
	return n, err
}

// directReader handles the input that directConn.read reads.
type directReader interface {
	// buffer returns the buffer of the next read.
	buffer() []byte

	// handle handles b, which is in the buffer. It reports whether to read on.
	handle(b []byte) bool

	// waits is called before read waits for input. The buffer is not used then.
	waits()
}

// read has r handle input until r refuses it, for which the error is nil, or
// the input ends. It waits for input up to the read deadline. Handlers run
// inside RawConn.Read: they may abort the connection, and so may others.
func (d *directConn) read(r directReader) (err error) {
	if d.raw == nil || !d.state.CompareAndSwap(directIdle, directReading) {
		return net.ErrClosed
	}
	defer func() {
		if !d.state.CompareAndSwap(directReading, directIdle) {
			d.Conn.Close()
			err = net.ErrClosed
		}
	}()
	var ended error
	if err := d.raw.Read(func(fd uintptr) bool {
		for {
			in := r.buffer()
			n, err := sysRead(int32(fd), in)
			switch {
			case err == syscall.EAGAIN:
				r.waits()
				return false
			case err != nil:
				ended = os.NewSyscallError("read", err)
				return true
			case n == 0:
				ended = io.EOF
				return true
			case !r.handle(in[:n]):
				return true
			}
		}
	}); err != nil {
		return err
	}
	return ended
}

// CloseWrite closes the socket for writing.
func (d *directConn) CloseWrite() error { return closeWrite(d.Conn) }

// Close closes the socket. If read is running, Close shuts the socket down, and
// read closes it.
func (d *directConn) Close() error {
	for {
		switch state := d.state.Load(); state {
		case directIdle:
			if d.state.CompareAndSwap(state, directClosed) {
				return d.Conn.Close()
			}
		case directReading:
			if d.state.CompareAndSwap(state, directAborted) {
				both := d.Conn.(interface {
					CloseRead() error
					CloseWrite() error
				})
				both.CloseRead()
				both.CloseWrite()
				return nil
			}
		case directAborted:
			return nil
		case directClosed:
			return d.Conn.Close()
		}
	}
}
