//go:build unix

package netloop

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
)

// A client that sends on behind its close_notify gets the output, and
// close_notify behind it, from goroutines too.
func TestBytesBehindCloseNotify(t *testing.T) {
	const size = 2 << 20 // more than the kernel buffers
	cert, _, err := testcert.New("127.0.0.1")
	check.Must(t, err)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, serve := range map[string]func(l *testLoop, ln net.Listener, open Open) error{
		"ServeTLS": func(l *testLoop, ln net.Listener, open Open) error {
			return l.ServeTLS(hiddenListener{ln}, func(nc net.Conn) TLS { return tls.Server(nc, cfg) }, open, Recovered)
		},
		"a listener of TLS": func(l *testLoop, ln net.Listener, open Open) error {
			return l.Serve(tls.NewListener(ln, cfg), open)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, Config{Linger: time.Minute, MaxBlocked: 10}, nil, nil)
			ln := listen(t)
			l.addr = ln.Addr().String()
			served := make(chan error, 1)
			go func() {
				served <- serve(l, ln, l.open(func() *testConn {
					return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
						return nil, c.socket.Writev(nil, make([]byte, size)) == nil
					}}
				}))
			}()
			nc, c := l.connect(t)
			client := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			check.Must(t, check.Err(client.Write([]byte("x"))))
			check.Must(t, client.CloseWrite())
			nc.SetDeadline(time.Now().Add(30 * time.Second)) // TLS has set one
			for !c.eof.Load() {
				time.Sleep(time.Millisecond)
			}
			check.OK(t, check.Err(nc.Write([]byte("no record"))))
			if n, err := io.Copy(io.Discard, client); n != size || err != nil { // nil after close_notify
				t.Errorf("%d bytes, %v", n, err)
			}
			nc.Close()
			if err := <-l.closed; err != io.EOF {
				t.Errorf("closed by %v", err)
			}
			ln.Close()
			<-served
		})
	}
}

// Two pieces of any sizes are written in order and completely. Of a first piece
// longer than joinedSize, such as the frames that the engine has collected, the
// rest used to be lost.
func TestWritevWritesAllOfBothPieces(t *testing.T) {
	sizes := []int{0, 1, joinedSize - 1, joinedSize, joinedSize + 1, 3 * joinedSize}
	for name, hide := range map[string]func(net.Listener) net.Listener{
		"goroutines": func(ln net.Listener) net.Listener { return hiddenListener{ln} },
		"system's":   func(ln net.Listener) net.Listener { return ln },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, Config{MaxBlocked: 10}, hide(listen(t)), nil)
			nc, c := l.connect(t)
			for _, a := range sizes {
				for _, b := range sizes {
					head, payload := bytes.Repeat([]byte("a"), a), bytes.Repeat([]byte("b"), b)
					check.Must(t, c.socket.Writev(head, payload))
					check.Must(t, c.socket.Writev([]byte("e"), []byte("nd")))
					want := string(head) + string(payload) + "end"
					got := make([]byte, len(want))
					nc.SetReadDeadline(time.Now().Add(30 * time.Second))
					if n, err := io.ReadFull(nc, got); string(got[:n]) != want {
						t.Fatalf("of %d and %d bytes the peer got %d, %v", a, b, n-len("end"), err)
					}
				}
			}
			nc.Close()
			<-l.closed
		})
	}
}

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
