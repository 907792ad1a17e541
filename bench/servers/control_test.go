package servers_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func TestControlLines(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name)
		var stats serve.Stats
		var gc struct{ OK bool }
		var unknown struct{ Error string }
		s.command("stats", &stats)
		s.command("gc", &gc)
		s.command("unknown", &unknown)
		if got := stats.Mallocs > 0 && stats.HeapBytes > 0 && stats.Goroutines > 0; got == p.notGo {
			t.Errorf("stats: %+v", stats)
		}
		collects := p.name != "minimal-c"
		if gc.OK != collects || (unknown.Error != "") != collects {
			t.Errorf("gc: %+v, unknown: %+v", gc, unknown)
		}
	})
}

func TestEndOfInputEndsTheServer(t *testing.T) {
	each(t, func(t *testing.T, p peer) {
		cmd := exec.Command(binaries.servers + p.name)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var hello serve.Hello
		if err := json.NewDecoder(out).Decode(&hello); err != nil {
			t.Error(err)
		}
		dial(t, hello.Listening, nil)
		in.Close()
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 1 {
			t.Errorf("more output: %q, %v", rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("exit: %v", err)
		}
	})
}

func TestAddressInUseEndsTheServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // after the subtests, which are parallel
	each(t, func(t *testing.T, p peer) {
		out, err := exec.Command(binaries.servers+p.name, "-addr", ln.Addr().String()).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() == serve.UnsupportedStatus || !strings.Contains(strings.ToLower(string(out)), "in use") {
			t.Errorf("%v, output %q; want a failure and the reason", err, out)
		}
	})
}
