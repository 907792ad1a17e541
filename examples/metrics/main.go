// Metrics is an echo server with statistics and a log: package expvar publishes
// its counters at http://localhost:8081/debug/vars, and package log/slog logs the
// end of each connection.
//
//	go run ./examples/metrics
package main

import (
	"expvar"
	"log"
	"log/slog"
	"net/http"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	s := newServer(slog.Default())
	expvar.Publish("websocket", expvar.Func(func() any { return s.Stats() }))
	go func() { log.Fatal(http.ListenAndServe("localhost:8081", nil)) }() // on loopback: statistics are private
	log.Fatal(s.ListenAndServe("localhost:8080"))
}

// newServer returns a server that logs the end of its connections, and errors
// that belong to no connection.
func newServer(logger *slog.Logger) *server.Server {
	return &server.Server{
		Handler: server.Handler{
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				c.Send(op, p)
			},
			Error: func(c *server.Conn, err error) {
				logger.Warn("connection failed", "path", c.Path(), "err", err)
			},
			Close: func(c *server.Conn, code wire.StatusCode, reason string) {
				logger.Info("connection closed", "path", c.Path(), "code", int(code), "reason", reason)
			},
		},
		Log: func(err error) {
			logger.Error("server", "err", err)
		},
	}
}
