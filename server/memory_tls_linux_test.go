//go:build !portable && !race && !lockcheck && !notls

package server_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"unsafe"

	"github.com/fibersock/fibersock/server"
)

// The epoll loop has no goroutine for a connection with TLS. In addition to a
// connection without, it has 128 bytes for TLS, and crypto/tls keeps
//
//   - a tls.Conn;
//   - for each direction, the state of AES-GCM, and its nonce;
//   - the secrets of the session: seven of up to 32 bytes, and a few pointers;
//   - a buffer for records, which is not longer than crypto/tls makes it for the
//     shortest one;
//   - a buffer for messages of the handshake, which has held the ClientHello.
func init() {
	const (
		aesGCM  = 896 + 32
		secrets = 7*32 + 96
		records = 512 + 5
	)
	heap := int(idle["system's"].heap) + 128 + allocated(int(unsafe.Sizeof(tls.Conn{}))) + 2*aesGCM + secrets +
		allocated(records) + allocated(clientHelloSize())
	idle["TLS"] = memory{heap: int64(heap), stack: 512}
	idle["TLS of others"] = idle["TLS"]
}

// After records of the full size, the buffer for records has that size and 512
// bytes more. It had twice that.
func TestIdleConnectionsAfterLongRecordsAreSmall(t *testing.T) {
	const longest = 5 + 16<<10 + 1 + 16 // a header, the plaintext, its type, a tag
	more := allocated(longest+512) - allocated(5+512)
	cfg := &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true}
	start := func(t *testing.T, s *server.Server) *running {
		r := tlsForm(serveTLSItself).start(t, s, listenTCP(t))
		r.dialer = func() (net.Conn, error) {
			nc, err := net.Dial("tcp", r.addr)
			if err != nil {
				return nil, err
			}
			return tls.Client(nc, cfg), nil
		}
		return r
	}
	testIdleConnections(t, map[string]starter{"TLS": start}, strings.Repeat("x", 50_000), nil, int64(more))
}

// allocated returns the size of the memory that is allocated for n bytes.
func allocated(n int) int { return cap(append([]byte(nil), make([]byte, n)...)) }

// clientHelloSize returns the size of the ClientHello that the tests' clients
// send.
func clientHelloSize() int {
	ours, peer := net.Pipe()
	defer ours.Close()
	go tls.Client(peer, &tls.Config{ServerName: "example.com"}).Handshake()
	b := make([]byte, 16<<10)
	n, err := ours.Read(b)
	if err != nil {
		panic(err)
	}
	return n - 5 // the header of the record
}
