package server_test

import (
	"flag"
	"net"
	"testing"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

func TestMain(m *testing.M) {
	// Parallel subtests wait for time limits most of the time, not for a processor.
	flag.Lookup("test.parallel").Value.Set("16")
	flag.Parse() // a value on the command line counts
	// With the first socket the runtime opens descriptors that stay: tests count them.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	leakcheck.Main(m)
}
