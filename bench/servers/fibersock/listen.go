//go:build !nethttp

package main

import (
	"net"

	"github.com/fibersock/fibersock/server"
)

// behind completes the notes of this build.
const behind = ""

// listen serves the connections of ln.
func listen(s *server.Server, ln net.Listener) error { return s.Serve(ln) }
