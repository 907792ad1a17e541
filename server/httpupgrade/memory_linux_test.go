//go:build !portable && !race && !lockcheck

// The race detector makes pools forget, and objects larger.

package httpupgrade_test

import (
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// inUse returns what the program's memory is used for, in bytes: heap and stacks,
// when goroutines that are ending, and their stacks, have gone.
func inUse() int {
	const small = 16 << 10
	for last := 0; ; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		runtime.GC() // what pools had is gone after the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		now := int(m.HeapAlloc + m.StackInuse)
		if max(now-last, last-now) < small {
			return now
		}
		last = now
	}
}

// An idle connection that came by way of net/http keeps nothing of it: neither a
// stack nor a buffer, only the request, which the program can ask for.
func TestMemoryOfUpgradedConnections(t *testing.T) {
	const clients = 1000
	perConn := func(addr string) int {
		crowd(t, addr, 100)() // so that all pools are there
		before := inUse()
		defer crowd(t, addr, clients)()
		return (inUse() - before) / clients
	}
	accepting := &server.Server{Handler: echoServer().Handler}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- accepting.Serve(ln) }()
	accepted := perConn(ln.Addr().String())
	if err := accepting.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	within(t, served)

	s := echoServer()
	hs := httptest.NewServer(httpupgrade.Handler(s))
	defer stop(t, hs, s)
	upgraded := perConn(strings.TrimPrefix(hs.URL, "http://"))
	t.Logf("%d bytes if accepted, %d if upgraded, both with the client", accepted, upgraded)
	if upgraded > accepted+1<<10 {
		t.Errorf("an upgraded connection takes %d bytes more than an accepted one", upgraded-accepted)
	}
}
