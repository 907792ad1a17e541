//go:build notls

package client

import (
	"context"
	"errors"
	"net"
)

// TLSConfig has nothing in it, because the program is built with the tag notls.
type TLSConfig struct{}

var errNoTLS = errors.New("websocket: this program is built without TLS (build tag notls): wss and https cannot be dialed")

func startTLS(context.Context, net.Conn, *TLSConfig, string) (net.Conn, error) {
	return nil, errNoTLS
}
