//go:build !notls

// Package clienttls sets and returns Config.TLS of package client, in builds
// with and without the tag notls.
package clienttls

import (
	"crypto/tls"

	"github.com/fibersock/fibersock/client"
)

// Supported reports whether the client has TLS.
const Supported = true

// Set sets the configuration of TLS. With the build tag notls it does nothing.
func Set(cfg *client.Config, secure *tls.Config) { cfg.TLS = secure }

// Of returns the configuration of TLS, nil if there is none.
func Of(cfg *client.Config) *tls.Config { return cfg.TLS }
