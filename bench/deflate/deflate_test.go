package main

import (
	"strings"
	"testing"
	"time"
)

// Each comparison runs, and a contender produces the bytes of every message.
func TestTables(t *testing.T) {
	var out strings.Builder
	if err := tables(&out, 1, time.Millisecond, "No takeover: JSON of 200 bytes"); err != nil {
		t.Fatal(err)
	}
	if err := tables(&out, 1, time.Millisecond, "Inflating, window of 12 bits: ticks"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"| fibersock | ", "| compress/flate 1 | ", "| compress/flate | ", "| lxzan/gws | ", "| coder/websocket | ", "| gorilla/websocket | "} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("no row %q in\n%s", name, out.String())
		}
	}
}

// A frame's header does not count, at each of its sizes.
func TestFramesCountPayload(t *testing.T) {
	for _, n := range []int{0, 125, 126, 1<<16 - 1, 1 << 16} {
		s := newSink()
		header := 2
		if n > 125 {
			header = 4
		}
		if n > 1<<16-1 {
			header = 10
		}
		c := frames(s, func(p []byte) error { _, err := s.Write(make([]byte, header+len(p))); return err })
		if got, err := c(make([]byte, n)); got != n || err != nil {
			t.Errorf("payload of %d bytes counted as %d (%v)", n, got, err)
		}
	}
}
