//go:build notls

package server_test

import (
	"net"
	"testing"

	"github.com/fibersock/fibersock/server"
)

// addTLS adds nothing: there is no TLS.
func addTLS(map[string]starter) {}

// addListenTLS adds nothing either.
func addListenTLS(map[string]func(t *testing.T, s *server.Server, ln net.Listener) *running) {}
