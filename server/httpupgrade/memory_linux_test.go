//go:build !portable && !race && !lockcheck

// The race detector empties pools at random, and enlarges objects.

package httpupgrade_test

import (
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// inUse returns the memory of the heap in use, in bytes.
func inUse() int {
	const small = 16 << 10
	for last := 0; ; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		runtime.GC() // the second collection empties the pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		now := int(m.HeapAlloc)
		if max(now-last, last-now) < small {
			return now
		}
		last = now
	}
}

// An idle connection accepted by net/http needs as much memory as one that the
// server has accepted: nothing of net/http, and of the request its text. It has
// no goroutine: see TestUpgradedConnectionsHaveNoGoroutine.
func TestMemoryOfUpgradedConnections(t *testing.T) {
	const clients = 1000
	perConn := func(addr string) int {
		crowd(t, addr, 100)() // fills all pools
		before, goroutines := inUse(), runtime.NumGoroutine()
		defer crowd(t, addr, clients)()
		awaitGoroutines(t, goroutines+runtime.GOMAXPROCS(0)+2) // of the loop, which it stops without connections
		return (inUse() - before) / clients
	}
	accepting := &server.Server{Handler: echoServer().Handler}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	served := make(chan error, 1)
	go func() { served <- accepting.Serve(ln) }()
	accepted := perConn(ln.Addr().String())
	check.OK(t, accepting.Shutdown(t.Context()))
	within(t, served)

	s := echoServer()
	hs := httptest.NewServer(httpupgrade.Handler(s))
	defer stop(t, hs, s)
	upgraded := perConn(strings.TrimPrefix(hs.URL, "http://"))
	t.Logf("%d bytes if accepted, %d if upgraded, both with the client", accepted, upgraded)
	if upgraded > accepted+64 {
		t.Errorf("an upgraded connection uses %d bytes more than an accepted one", upgraded-accepted)
	}
}
