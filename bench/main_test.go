package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/bench/internal/report"
)

func TestResultsAreShownAgainFromTheirFile(t *testing.T) {
	folder := t.TempDir()
	results := &report.Results{Schema: report.SchemaVersion, Mode: "quick", Scenarios: []report.Scenario{{
		Name: "echo-125", Title: "Echo", Unit: "message", Primary: report.CPU,
		Outcomes: []report.Outcome{{Peer: "fibersock", Median: report.Figures{report.CPU: 4000}}},
	}}}
	if err := write(folder, results, true); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(folder, "scenario-of-old.svg")
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{"-from", filepath.Join(folder, "results.json"), "-out", folder}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "4,000") {
		t.Errorf("printed %q, without the figure", out.String())
	}
	for name, there := range map[string]bool{"results.json": true, "README.md": true, "echo-125.svg": true, "scenario-of-old.svg": false} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemoryOfIdleConnectionsIsCollectedOverRuns(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"idle-deflate-12", "idle"} {
		results := &report.Results{Schema: report.SchemaVersion, Servers: []report.Peer{{Name: "fibersock"}}, Scenarios: []report.Scenario{{
			Name: name, Title: "Idle: " + name, Unit: "connection", Primary: report.ConnBytes,
			Outcomes: []report.Outcome{{Peer: "fibersock", Median: report.Figures{report.ConnBytes: 567}}},
		}}}
		file := filepath.Join(folder, name+".json")
		if err := writeResults(file, results); err != nil {
			t.Fatal(err)
		}
		if err := run([]string{"-from", file, "-memory", folder}, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(folder, "memory.md"))
	if want := "| server | version | Idle: idle | Idle: idle-deflate-12 |"; err != nil || !strings.Contains(string(page), want) {
		t.Errorf("%v, no %q in\n%s", err, want, page)
	}
	if err := os.WriteFile(filepath.Join(folder, "memory.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-from", filepath.Join(folder, "idle.json"), "-memory", folder}, io.Discard, io.Discard); err == nil {
		t.Error("a memory.json that is no JSON is overwritten")
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"-quick -full", "now", "-rounds many", "-peers nobody", "-gate 1.05"} {
		if err := run(strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
	var out bytes.Buffer
	if err := run([]string{"-list"}, &out, io.Discard); err != nil || !strings.Contains(out.String(), "echo-125\n") {
		t.Errorf("-list: %v, %q", err, out.String())
	}
}

func TestProcessorsSurviveTheNewStart(t *testing.T) {
	for _, list := range [][]int{{0}, {0, 1}, {3, 17}} {
		got, err := parseProcessors(formatProcessors(list))
		if err != nil || len(got) != len(list) || got[0] != list[0] {
			t.Errorf("%v became %v, %v", list, got, err)
		}
	}
	if _, err := parseProcessors("all"); err == nil {
		t.Error("no number, no error")
	}
}
