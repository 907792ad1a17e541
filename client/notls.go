//go:build notls

package client

import (
	"context"
	"errors"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is empty: the build tag notls removes TLS.
type TLSConfig struct{}

var errNoTLS = errors.New("websocket: this program is built without TLS (build tag notls): wss and https cannot be dialed")

func (d *dialer) startTLS(context.Context, netloop.Transport) (netloop.Transport, error) {
	return nil, errNoTLS
}

func (d *dialer) startProxyTLS(context.Context, netloop.Transport, string) (netloop.Transport, error) {
	return nil, errNoTLS
}

func withoutIdentity(cfg *TLSConfig) *TLSConfig { return cfg }
