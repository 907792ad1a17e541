//go:build notls

// Package clienttls sets and returns Config.TLS of package client, in builds
// with and without the tag notls.
package clienttls

import (
	"crypto/tls"

	"github.com/fibersock/fibersock/client"
)

// Supported reports whether the client has TLS.
const Supported = false

// Set does nothing: the build tag notls removes TLS from the client.
func Set(*client.Config, *tls.Config) {}

// Of returns nil.
func Of(*client.Config) *tls.Config { return nil }
