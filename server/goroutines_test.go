package server_test

import (
	"runtime"
	"testing"

	"github.com/fibersock/fibersock/server"
)

// goroutinesSettle waits until at most so many goroutines more than before
// exist. Those of the opening handshake exit soon, but not at once.
func goroutinesSettle(t *testing.T, before, most int) {
	t.Helper()
	n := 0
	eventually(t, "few goroutines", func() bool {
		n = runtime.NumGoroutine() - before
		return n <= most
	})
	t.Logf("%d goroutines, at most %d", n, most)
}

// A connection with Handler.Serve has one goroutine for it, and one more on a
// loop other than epoll.
func TestGoroutinesOfHandlersThatServe(t *testing.T) {
	const clients = 100
	eachLoop(t, func(t *testing.T, start starter) {
		before := runtime.NumGoroutine()
		s := start(t, &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) { c.Receive(t.Context()) }}})
		for range clients {
			s.open(t)
		}
		goroutinesSettle(t, before, 2*clients+runtime.GOMAXPROCS(0)+3)
	})
}
