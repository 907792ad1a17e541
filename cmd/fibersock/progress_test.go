package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		total, done, failed int
		elapsed             time.Duration
		want                string
	}{
		{517, 0, 0, 0, "0/517 [------------------------------]   0%  0 failed  0s"},
		{517, 258, 3, 61500 * time.Millisecond, "258/517 [##############----------------]  49%  3 failed  1m1s"},
		{517, 517, 0, 2 * time.Hour, "517/517 [##############################] 100%  0 failed  2h0m0s"},
		{0, 0, 0, 0, "0/0 [##############################] 100%  0 failed  0s"},
		{2, 3, 0, 0, "3/2 [##############################] 100%  0 failed  0s"}, // a client that runs a case again
	} {
		b := &progressBar{total: c.total, done: c.done, failed: c.failed}
		if got := b.line(c.elapsed); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	again := &progressBar{total: 517, done: 517, failed: 33}
	again.repeat(33)
	if got := again.line(time.Minute); !strings.HasSuffix(got, "33 failed  1m0s  33 again") {
		t.Errorf("%q", got)
	}
	widest := (&progressBar{total: 9999, done: 9999, failed: 9999}).line(99*time.Hour + 59*time.Minute + 59*time.Second)
	if len(widest) > progressColumns {
		t.Errorf("%d columns: %q", len(widest), widest)
	}
}

// The bar overwrites itself and is erased at the end.
func TestProgressIsDrawnOver(t *testing.T) {
	var screen strings.Builder
	b := showProgress(&screen, 2)
	b.add(false)
	b.add(true)
	b.end()
	first, rest, _ := strings.Cut(strings.TrimPrefix(screen.String(), "\r"), "\r")
	if !strings.Contains(first, "/2 [") || len(first) != progressColumns {
		t.Errorf("first %q", first)
	}
	if blank := strings.Repeat(" ", progressColumns) + "\r"; !strings.HasSuffix(rest, blank) || strings.Contains(screen.String(), "\n") {
		t.Errorf("then %q", rest)
	}
	if b.done != 2 || b.failed != 1 {
		t.Errorf("%d done, %d failed", b.done, b.failed)
	}
}

func TestNoProgressIsShownNowhere(t *testing.T) {
	var none *progressBar
	none.add(true)
	none.repeat(1)
	none.end()
}
