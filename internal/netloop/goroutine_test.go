//go:build unix

package netloop

import (
	"io"
	"net"
	"testing"
	"time"
)

// When both sides have closed the connection, the socket is closed at once,
// although the peer keeps its side open. It used to stay open for
// Config.Linger.
func TestSocketThatBothSidesHaveClosed(t *testing.T) {
	for name, hide := range map[string]func(net.Listener) net.Listener{
		"goroutines": func(ln net.Listener) net.Listener { return hiddenListener{ln} },
		"system's":   func(ln net.Listener) net.Listener { return ln },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, Config{Linger: time.Hour, MaxBlocked: 10}, hide(listen(t)), func() *testConn {
				return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
					c.socket.Writev(nil, b)
					c.socket.CloseWrite(true)
					return nil, false
				}}
			})
			nc, _ := l.connect(t)
			echoes(t, nc, 1)
			if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("the peer got %d bytes and %v", n, err)
			}
			select {
			case err := <-l.closed:
				if err != nil {
					t.Errorf("closed by %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Error("the socket is not closed")
			}
		})
	}
}
