//go:build notls

package server_test

import (
	"net"
	"testing"

	"github.com/fibersock/fibersock/server"
)

// addTLS adds no starter in a build without TLS.
func addTLS(map[string]starter) {}

// addListenTLS adds no starter in a build without TLS.
func addListenTLS(map[string]func(t *testing.T, s *server.Server, ln net.Listener) *running) {}
