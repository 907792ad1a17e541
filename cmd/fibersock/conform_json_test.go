package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

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
