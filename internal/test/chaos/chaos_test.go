package chaos

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

var (
	runTime = flag.Duration("chaos.time", 3*time.Second, "how long the chaos test runs")
	seed    = flag.Uint64("chaos.seed", 0, "seed of the chaos test; 0: a random one")
	without = flag.String("chaos.without", "", "kinds of peers and actions to leave out, separated by commas")
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// Servers of all forms and policies among handlers and peers that misbehave
// keep their promises: see the package documentation. The flags -chaos.time,
// -chaos.seed and -chaos.without are for a person who looks for a cause.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()>>1 + 1
	}
	t.Logf("-chaos.seed %d", *seed)
	report, err := Run(Options{Seed: *seed, Time: *runTime, Without: strings.Split(*without, ","), CPU: cpuTime, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range report.Failures() {
		t.Errorf("seed %d: %s", *seed, text)
	}
	t.Logf("%d rounds, %d connections in %v; %d echoes of innocent clients: p50 %v, p99 %v, longest %v",
		report.Rounds, report.Connections, report.Took.Round(time.Millisecond), report.Echoes, report.P50, report.P99, report.Longest)
}
