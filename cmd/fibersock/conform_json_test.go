package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// -json of the driver writes the verdict of the server on each case.
func TestDriveWritesJSON(t *testing.T) {
	addr, wait, _ := startConformClient(t, "-once", "-patience", "20", "-cases", "1.1.*")
	r := runWith(t, nil, "conform", "drive", "-json", "-parallel", "4", "-agent", "a", "ws://"+addr)
	if r.code != exitOK || r.err != "" {
		t.Errorf("%+v", r)
	}
	want := map[string]bool{}
	for _, n := range "12345678" {
		want[`{"agent":"a","case":"1.1.`+string(n)+`","behavior":"OK"}`+"\n"] = true
	}
	for line := range strings.Lines(r.out) {
		if !want[line] {
			t.Errorf("a line that is wrong or repeated: %q", line)
		}
		delete(want, line)
	}
	if len(want) > 0 {
		t.Errorf("no lines for %v", want)
	}
	if r := wait(); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

// Standard output that cannot be written ends the driver before the next case.
func TestDriveJSONThatCannotBeWritten(t *testing.T) {
	addr, _, _ := startConformClient(t, "-patience", "20", "-cases", "1.1.*")
	var notes strings.Builder
	if code := run(t.Context(), []string{"conform", "drive", "-json", "ws://" + addr}, nil, brokenWriter{}, &notes); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	if notes.String() != "fibersock: the disk is full\n" {
		t.Errorf("standard error: %q", notes.String())
	}
}

// With -json each verdict and each difference is a line, and nothing else is
// written to standard output.
func TestConformWritesJSON(t *testing.T) {
	addr, _ := startServe(t)
	expected := filepath.Join(t.TempDir(), "index.json")
	check.Must(t, os.WriteFile(expected, []byte(`{"a": {"1.1.1": {"behavior": "FAILED", "behaviorClose": "OK"}, "1.1.2": {"behavior": "OK", "behaviorClose": "OK"}}}`), 0o600))
	r := runWith(t, nil, "conform", "server", "-json", "-agent", "a", "-cases", "1.1.1,1.1.2", "-expect", expected, "-out", t.TempDir(), "ws://"+addr+"/echo")
	if r.code != exitFailed || r.err != "" {
		t.Errorf("%+v", r)
	}
	verdicts, differences := 0, 0
	for line := range strings.Lines(r.out) {
		var v struct {
			jsonVerdict
			Difference string
		}
		check.Must(t, json.Unmarshal([]byte(line), &v))
		switch {
		case v.Agent != "a":
			t.Errorf("%s", line)
		case v.Difference != "":
			differences++
		case v.Behavior == "OK" && v.Passed && strings.HasPrefix(v.Case, "1.1."):
			verdicts++
		}
	}
	if verdicts != 2 || differences != 1 {
		t.Errorf("%d verdicts, %d differences: %s", verdicts, differences, r.out)
	}
	if r := runWith(t, nil, "conform", "server", "-json", "-quiet", "ws://a"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
