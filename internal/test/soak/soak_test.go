package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// flatResult returns a result of n rows without faults.
func flatResult(n int) *result {
	idle := sample{Heap: 1 << 20, RSS: 10 << 20, Goroutines: 10, Files: 10}
	res := &result{start: idle, end: idle}
	for i := range n {
		res.rows = append(res.rows, row{
			At:     time.Duration(i) * time.Second,
			sample: sample{Heap: 50 << 20, RSS: 100 << 20, Goroutines: 1000, Files: 1000},
		})
	}
	return res
}

func TestFlatness(t *testing.T) {
	last := func(res *result) []row { return res.rows[len(res.rows)*3/4:] }
	for name, tt := range map[string]struct {
		change func(res *result)
		want   string // in the only fault; "": none
	}{
		"nothing changes":             {func(*result) {}, ""},
		"too short":                   {func(res *result) { res.rows = res.rows[:3] }, "too few"},
		"a peak in the first quarter": {func(res *result) { res.rows[0].Heap = 1 << 40 }, ""}, // warm-up
		"within a tenth": {func(res *result) {
			for i := range last(res) {
				last(res)[i].Heap += 5 << 20
			}
		}, ""},
		"the heap grows": {func(res *result) {
			for i := range last(res) {
				last(res)[i].Heap += 20 << 20
			}
		}, "heap in MiB: 50.0 in the second quarter, 70.0 in the last"},
		"RSS grows": {func(res *result) {
			for i := range last(res) {
				last(res)[i].RSS *= 2
			}
		}, "RSS in MiB"},
		"a connection is left":      {func(res *result) { res.end.Open = 1 }, "1 connections are open"},
		"a goroutine is left":       {func(res *result) { res.end.Goroutines++ }, "11 goroutines at the end, 10 at the start"},
		"a descriptor is left":      {func(res *result) { res.end.Files++ }, "11 descriptors"},
		"bytes are left":            {func(res *result) { res.end.Backlog = 7 }, "7 bytes are buffered"},
		"a panic":                   {func(res *result) { res.end.Panics = 1 }, "1 panics"},
		"an attack without end":     {func(res *result) { res.unended = 1 }, "1 attacks"},
		"a visit without end":       {func(res *result) { res.end.Unended = 1 }, "1 attacks"},
		"a well-behaved peer fails": {func(res *result) { res.lost = 1 }, "1 connections of well-behaved peers"},
	} {
		t.Run(name, func(t *testing.T) {
			res := flatResult(20)
			tt.change(res)
			faults := res.faults()
			if tt.want == "" && len(faults) > 0 || tt.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], tt.want)) {
				t.Errorf("%q, want %q", faults, tt.want)
			}
			if text := res.markdown(faults); strings.Contains(text, "**Flat**") != (tt.want == "") {
				t.Errorf("the report says:\n%s", text)
			}
		})
	}
}

// A few connections for a few seconds, in one process: each kind of peer takes
// part, the target answers each command, and at the end no connection is open.
func TestShortSoak(t *testing.T) {
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- runTarget(in, out) }()
	target := newRemote(orders, answers, nil)
	var table bytes.Buffer
	res, err := soak(t.Context(), options{time: 1500 * time.Millisecond, conns: 100, every: 300 * time.Millisecond}, target, &table)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(orders, cmdStop+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(res.rows) < 3 || res.end.Messages == 0 || res.end.Visits == 0 || res.attacks == 0 || !strings.HasPrefix(table.String(), tableHead) {
		t.Errorf("%+v\n%s", res, &table)
	}
	if res.end.Open != 0 || res.end.Panics != 0 || res.lost != 0 {
		t.Errorf("at the end: %+v; %v", res.end, res.failures)
	}
	if columns := func(line string) int { return strings.Count(line, "|") }; slices.ContainsFunc(strings.Split(strings.TrimSpace(table.String()), "\n"), func(line string) bool {
		return columns(line) != columns(strings.Split(tableHead, "\n")[0])
	}) {
		t.Errorf("not every line has every column:\n%s", &table)
	}
}
