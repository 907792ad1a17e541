//go:build !portable

package httpupgrade_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// crowd opens connections to a server. They stay idle until disband is called.
func crowd(t *testing.T, addr string, n int) (disband func()) {
	t.Helper()
	conns := make([]net.Conn, n)
	answer := make([]byte, 1000)
	for i := range conns {
		nc, err := net.Dial("tcp", addr)
		check.Must(t, err)
		conns[i] = nc
		check.Must(t, check.Err(io.WriteString(nc, request())))
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

// A connection accepted by net/http has no goroutine.
func TestUpgradedConnectionsHaveNoGoroutine(t *testing.T) {
	const clients = 200
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	before := runtime.NumGoroutine()
	defer crowd(t, strings.TrimPrefix(hs.URL, "http://"), clients)()
	awaitGoroutines(t, before+runtime.GOMAXPROCS(0)+2) // of the server
}

// awaitGoroutines waits until the goroutines of net/http have exited, and there
// are at most so many.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > most; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, want at most %d", runtime.NumGoroutine(), most)
		}
	}
}
