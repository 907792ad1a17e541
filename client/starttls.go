package client

import (
	"context"
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSStarter performs TLS handshakes for Dial. Use a [TLSFunc].
type TLSStarter interface {
	startTLS(ctx context.Context, below netloop.Transport, host string) (netloop.Transport, net.Conn, error)
}

// TLSFunc is a TLSStarter that calls a function, for another implementation of
// TLS than crypto/tls, or for a DialContext whose connections have TLS already:
//
//	startTLS := func(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
//		return nc, nil
//	}
//	cfg := &client.Config{StartTLS: client.TLSFunc(startTLS)}
//
// The function performs the TLS handshake over nc, verifies that the
// certificate is valid for host, and returns the TLS connection. The
// application protocol must be http/1.1. The function runs on a goroutine of
// its own: ctx is that of Dial, which closes nc when ctx ends. An error is in a
// *TLSError.
//
// The TLS connection may be of any type, even one whose deadlines do nothing.
// It is closed at the end of the connection, and if Dial fails after the TLS
// handshake. Config.WriteTimeout is for its writes to nc.
type TLSFunc func(ctx context.Context, nc net.Conn, host string) (net.Conn, error)

func (f TLSFunc) startTLS(ctx context.Context, below netloop.Transport, host string) (netloop.Transport, net.Conn, error) {
	nc, err := open(ctx, func() (net.Conn, error) { return f(ctx, below, host) })
	if err != nil {
		return nil, nil, &TLSError{Err: err}
	}
	return netloop.OverForeign(nc, below, recovered), nc, nil
}
