//go:build portable || (!linux && !(kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"errors"
	"net"
)

// canPoll is whether this system has a polled loop.
const canPoll = false

// PolledSocket is empty: no socket is polled on this system.
type PolledSocket struct{}

// polledLoop stands in for the loop that this system does not have.
type polledLoop struct{}

func (l *Loop) pollers() *polledLoop { return nil }

func (*polledLoop) serve(*net.TCPListener, Open) error { return errors.ErrUnsupported }

func (*polledLoop) serveTLS(*net.TCPListener, Secure, Open) error { return errors.ErrUnsupported }

func (*polledLoop) start(net.Conn, Open, []byte, chan struct{}) error {
	return errors.ErrUnsupported
}

// BelowTLS returns ln: see Loop.Start on systems with a polled loop.
func BelowTLS(ln net.Listener) net.Listener { return ln }

// TCPListener returns ln as a TCP listener, nil if it is none.
func TCPListener(ln net.Listener) *net.TCPListener {
	tcp, _ := ln.(*net.TCPListener)
	return tcp
}
