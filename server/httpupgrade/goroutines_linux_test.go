//go:build !portable

package httpupgrade_test

import (
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// crowd opens connections to a server, and leaves them idle until it is disbanded.
func crowd(t *testing.T, addr string, n int) (disband func()) {
	t.Helper()
	conns := make([]net.Conn, n)
	answer := make([]byte, 1000)
	for i := range conns {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = nc
		if _, err := io.WriteString(nc, request()); err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", answer[:n], err)
		}
	}
	return func() {
		for _, nc := range conns {
			nc.Close()
		}
	}
}

// A connection that came by way of net/http has no goroutine.
func TestUpgradedConnectionsHaveNoGoroutine(t *testing.T) {
	const clients = 1000
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	before := runtime.NumGoroutine()
	defer crowd(t, strings.TrimPrefix(hs.URL, "http://"), clients)()
	most := runtime.GOMAXPROCS(0) + 2 // the server's own
	n := 0
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // net/http's are on their way out
		if n = runtime.NumGoroutine() - before; n <= most {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines for %d connections", n, clients)
		}
	}
}

// inUse returns what the program's memory is used for, in bytes: heap and stacks.
func inUse() int {
	runtime.GC()
	runtime.GC() // what pools had is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
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
