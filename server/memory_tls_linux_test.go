//go:build !portable && !race && !lockcheck && !notls

package server_test

import (
	"crypto/tls"
	"net"
	"unsafe"
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
