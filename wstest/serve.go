package wstest

import (
	"context"
	"net"
	"time"
)

// A Server is a *server.Server or an *http.Server.
type Server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// A TB is a *testing.T, *testing.B or *testing.F.
type TB interface {
	Cleanup(func())
	Logf(format string, args ...any)
}

// Serve runs s.Serve with a new listener on another goroutine. When the test
// ends, it calls s.Shutdown, for at most 10 seconds, and waits for s.Serve. An
// error of Shutdown is logged, and one of Serve that precedes Shutdown.
//
// In a bubble of testing/synctest, t is the T of the bubble. Without the
// Shutdown, the goroutines of the server would outlive the function of the
// bubble, and [synctest.Test] would report a deadlock.
//
// [synctest.Test]: https://pkg.go.dev/testing/synctest#Test
func Serve(t TB, s Server) *Listener {
	ln := Listen(nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		select {
		case err := <-served:
			t.Logf("wstest: Serve: %v", err)
			served <- err
		default:
		}
		// The context of t has ended.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Logf("wstest: Shutdown: %v", err)
		}
		<-served
	})
	return ln
}
