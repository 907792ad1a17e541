package server_test

import (
	"flag"
	"net"
	"testing"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

func TestMain(m *testing.M) {
	// Parallel subtests mostly wait for timeouts, not for a processor.
	flag.Lookup("test.parallel").Value.Set("8")
	flag.Parse() // a value on the command line counts
	// With the first socket the runtime opens descriptors that stay open. Tests
	// count descriptors.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	leakcheck.Main(m)
}
