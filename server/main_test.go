package server_test

import (
	"flag"
	"testing"

	"github.com/fibersock/fibersock/internal/leakcheck"
)

func TestMain(m *testing.M) {
	// Parallel subtests wait for time limits most of the time, not for a processor.
	flag.Lookup("test.parallel").Value.Set("8")
	flag.Parse() // a value on the command line counts
	leakcheck.Main(m)
}
