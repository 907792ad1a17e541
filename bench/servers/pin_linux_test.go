package servers_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

func TestServerRunsOnTheProcessorsItIsGiven(t *testing.T) {
	allowed := allowedCPUs(t, "self")
	first := regexp.MustCompile(`^\d+`).FindString(allowed)
	each(t, func(t *testing.T, p peer) {
		s := start(t, p.name, "-cpus", first)
		if got := allowedCPUs(t, fmt.Sprint(s.pid)); got != first {
			t.Errorf("the server may run on %s, want %s", got, first)
		}
		c := s.dial()
		c.send(text("pinned"))
		c.wantReplies([]wire.Frame{text("pinned")}, false)
	})
}

func allowedCPUs(t *testing.T, pid string) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
