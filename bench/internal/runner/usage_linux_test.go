package runner

import (
	"os"
	"testing"
	"time"
)

func TestOwnProcessorTimeGrows(t *testing.T) {
	before, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 30*time.Millisecond; {
	}
	after, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	user, system := after.since(before)
	if used := user + system; used <= 0 || used > time.Minute {
		t.Errorf("%v of processor time for a loop of 30 ms", used)
	}
	if rss, err := readRSS(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("resident memory of this test: %d bytes, %v", rss, err)
	}
}
