package chaos

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

var (
	runTime = flag.Duration("chaos.time", 2500*time.Millisecond, "how long the chaos test runs")
	seed    = flag.Uint64("chaos.seed", 0, "seed of the chaos test; 0: a random one")
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// Servers of all forms and policies among handlers and peers that misbehave
// keep their promises: see the package documentation.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()>>1 + 1
	}
	t.Logf("-chaos.seed %d", *seed)
	failures, err := Run(Options{Seed: *seed, Time: *runTime, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range failures {
		t.Errorf("seed %d: %s", *seed, text)
	}
}
