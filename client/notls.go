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

func startTLS(context.Context, netloop.Transport, *TLSConfig, string) (netloop.Transport, error) {
	return nil, errNoTLS
}

// isPermanentTLS reports whether err is errNoTLS.
func isPermanentTLS(err error) bool { return errors.Is(err, errNoTLS) }
