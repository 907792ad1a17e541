package netloop_test

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
)

// observed is a net.Conn that records the write deadlines that are set.
type observed struct {
	net.Conn
	deadlines []time.Time
}

func (o *observed) SetWriteDeadline(t time.Time) error {
	o.deadlines = append(o.deadlines, t)
	return o.Conn.SetWriteDeadline(t)
}

// pipe returns the two ends of a transport without a buffer: a Write waits for
// the peer's Read. Both are closed at the test's end.
func pipe(t *testing.T) (ours *observed, peer net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return &observed{Conn: a}, b
}

// tcp returns the two ends of a TCP connection. Both are closed at the test's
// end.
func tcp(t *testing.T) (ours, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	defer ln.Close()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); peer.Close() })
	return ours, peer
}

// secured returns TLS connections over two ends of a transport, after the TLS
// handshake.
func secured(t *testing.T, ours, peer net.Conn) (secureOurs, securePeer *tls.Conn) {
	t.Helper()
	secureOurs = tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{testcert.Any()}})
	securePeer = tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	var both sync.WaitGroup
	both.Go(func() {
		check.OK(t, secureOurs.Handshake())
	})
	both.Go(func() {
		check.OK(t, securePeer.Handshake())
		// This reads the server's bytes after the handshake.
		check.OK(t, check.Err(securePeer.Read(nil)))
	})
	both.Wait()
	return secureOurs, securePeer
}

// took checks that it is exactly d since start, in a bubble.
func took(t *testing.T, start time.Time, d time.Duration) {
	if is := time.Since(start); is != d {
		t.Helper()
		t.Errorf("took %v, want %v", is, d)
	}
}
