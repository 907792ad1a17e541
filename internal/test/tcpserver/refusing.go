package tcpserver

import (
	"net"
	"testing"
)

// Refusing returns an address that refuses connections until the test ends. Its
// port is that of the client of a connection, and so no other process can
// listen there, as it can at the address of a listener that is closed.
func Refusing(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		ln.Close()
	})
	return nc.LocalAddr().String()
}
