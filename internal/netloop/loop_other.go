//go:build !linux || portable

package netloop

import (
	"errors"
	"net"
)

// canPoll is whether this system has epoll.
const canPoll = false

// PolledSocket is empty: no socket is polled on this system.
type PolledSocket struct{}

// epollLoop stands in for the loop that this system does not have.
type epollLoop struct{}

func (l *Loop) pollers() *epollLoop { return nil }

func (*epollLoop) serve(*net.TCPListener, Open) error { return errors.ErrUnsupported }

func (*epollLoop) serveTLS(*net.TCPListener, Secure, Open) error { return errors.ErrUnsupported }

func (*epollLoop) start(net.Conn, Open, []byte, chan struct{}) error {
	return errors.ErrUnsupported
}

// BelowTLS returns ln: see Loop.Start on systems with epoll.
func BelowTLS(ln net.Listener) net.Listener { return ln }

// TCPListener returns ln as a TCP listener, nil if it is none.
func TCPListener(ln net.Listener) *net.TCPListener {
	tcp, _ := ln.(*net.TCPListener)
	return tcp
}
