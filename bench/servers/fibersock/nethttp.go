//go:build nethttp

package main

import (
	"net"
	"net/http"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// behind completes the notes of this build.
const behind = "; behind net/http, with httpupgrade.Handler"

// listen serves the connections of ln, which net/http accepts.
func listen(s *server.Server, ln net.Listener) error {
	return http.Serve(ln, httpupgrade.Handler(s))
}
