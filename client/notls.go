//go:build notls

package client

import (
	"context"
	"errors"
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is empty: the build tag notls removes TLS.
type TLSConfig struct{}

var errNoTLS = errors.New("websocket: this program is built without TLS (build tag notls): wss and https cannot be dialed")

func secure(context.Context, netloop.Transport, *TLSConfig, string, string) (netloop.Transport, net.Conn, error) {
	return nil, nil, errNoTLS
}

func withoutIdentity(cfg *TLSConfig) *TLSConfig { return cfg }

// isPermanentTLS reports whether err is errNoTLS.
func isPermanentTLS(err error) bool { return errors.Is(err, errNoTLS) }
