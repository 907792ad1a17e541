package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/internal/test/check"
)

func TestPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		check.Must(t, run(&out))
		t.Logf("\n%s", out.String())
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
		check.Equal(t, len(lines), 5, "lines")
		for _, line := range lines {
			var policy, end string
			var sent, received, last int
			check.Must(t, check.Err(fmt.Sscan(line, &policy, &sent, &received, &last, &end)))
			holds := map[string]bool{
				"SlowClose":      received < messages && sent < messages && end == "1006",
				"SlowDropNewest": received == sent && sent < messages && last < messages && end == "1000",
				"SlowDropOldest": received < sent && sent == messages && last == messages && end == "1000",
				"SlowBlock":      received == messages && sent == messages && end == "1000",
				"Writable":       received == messages && sent == messages && end == "1000",
			}
			if !holds[policy] {
				t.Error(line)
			}
		}
	})
}
