//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"net"
	"reflect"
	"sync/atomic"
	"time"
)

// This file makes TLS connections of the program ready for the polled loop.

// BelowTLS returns ln with connections over which TLS can be polled.
func BelowTLS(ln net.Listener) net.Listener {
	if _, ok := ln.(*net.TCPListener); !ok {
		return ln
	}
	return belowTLSListener{ln}
}

type belowTLSListener struct{ net.Listener }

// TCPListener returns ln as a TCP listener, or the one in ln if that is of
// BelowTLS, nil if there is none.
func TCPListener(ln net.Listener) *net.TCPListener {
	if below, ok := ln.(belowTLSListener); ok {
		ln = below.Listener
	}
	tcp, _ := ln.(*net.TCPListener)
	return tcp
}

func (l belowTLSListener) Accept() (net.Conn, error) {
	nc, err := acceptEndable(l.Listener)
	if err != nil {
		return nil, err
	}
	return &belowTLS{TCPConn: nc.(*net.TCPConn)}, nil
}

// belowTLS is a TCP connection until it is switched to a rawConn, between two
// calls.
type belowTLS struct {
	*net.TCPConn
	pos recordPos // of the ciphertext that TLS has read
	raw atomic.Pointer[rawConn]
}

// overTLS is the part of *tls.Conn by which a program's TLS connection can be
// polled.
type overTLS interface {
	TLS
	NetConn() net.Conn
}

// belowOf returns the connection below a *tls.Conn if it is one of BelowTLS,
// nil otherwise. The type is recognised by its package, which is not linked
// here. A type that embeds a *tls.Conn has the same methods, but its Read may
// not know temporary errors, or may wait: it is served by goroutines.
func belowOf(nc overTLS) *belowTLS {
	if t := reflect.TypeOf(nc); t.Kind() != reflect.Pointer || t.Elem().PkgPath() != "crypto/tls" {
		return nil
	}
	below, _ := nc.NetConn().(*belowTLS)
	return below
}

// conn returns the connection to be used.
func (c *belowTLS) conn() net.Conn {
	if raw := c.raw.Load(); raw != nil {
		return raw
	}
	return c.TCPConn
}

func (c *belowTLS) Read(p []byte) (int, error) {
	if raw := c.raw.Load(); raw != nil {
		return raw.Read(p)
	}
	n, err := c.TCPConn.Read(p)
	c.pos.advance(p[:n])
	return n, err
}

func (c *belowTLS) Write(p []byte) (int, error)        { return c.conn().Write(p) }
func (c *belowTLS) Close() error                       { return c.conn().Close() }
func (c *belowTLS) SetDeadline(t time.Time) error      { return c.conn().SetDeadline(t) }
func (c *belowTLS) SetReadDeadline(t time.Time) error  { return c.conn().SetReadDeadline(t) }
func (c *belowTLS) SetWriteDeadline(t time.Time) error { return c.conn().SetWriteDeadline(t) }
