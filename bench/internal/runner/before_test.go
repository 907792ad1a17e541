package runner

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

func TestBeforeIsBesideEachOfOurs(t *testing.T) {
	var got []string
	for _, p := range withBefore(servers(), "elsewhere") {
		if strings.HasPrefix(p.Name, "fibersock") {
			got = append(got, p.Name+" "+string(p.Kind)+" "+p.root)
		}
	}
	want := "fibersock ours |fibersock-before before elsewhere|fibersock-portable ours |fibersock-portable-before before elsewhere|fibersock-batched ours |fibersock-batched-before before elsewhere|fibersock-nethttp ours |fibersock-nethttp-before before elsewhere"
	if strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBeforeOfAnUnknownCommitSaysSo(t *testing.T) {
	b, err := newBench(Options{Mode: Quick, Root: "../..", Before: "no-such-commit"})
	if err != nil {
		t.Fatal(err)
	}
	b.dir, b.progress = t.TempDir(), newProgress(io.Discard, time.Minute)
	if err := b.addBefore(context.Background()); err == nil || !strings.Contains(err.Error(), "-before no-such-commit: ") {
		t.Errorf("error %v", err)
	}
}

func TestPeersOfAnotherRootAreBuiltThere(t *testing.T) {
	root := t.TempDir()
	b, err := newBench(Options{Mode: Quick, Root: "../.."})
	if err != nil {
		t.Fatal(err)
	}
	b.progress = newProgress(io.Discard, time.Minute)
	p := &peer{Peer: report.Peer{Name: "fibersock-before"}, folder: "fibersock", root: root}
	err = b.buildOne(t.Context(), p, "servers")
	if err == nil || !strings.Contains(err.Error(), filepath.Join(root, "servers", "fibersock")) {
		t.Errorf("error %v, want one about the missing folder", err)
	}
}

// Of an earlier commit's server it is a feature that there was not yet; of any
// other server it is a mistake.
func TestAFlagThatIsNotDefined(t *testing.T) {
	p := tiny("takeover")
	p.deflate, p.takeover = true, true
	for _, c := range []struct {
		kind           report.Kind
		failed, absent string
	}{
		{report.Before, "", "-takeover: not there at that commit"},
		{report.Library, "its command does not define the flag -takeover", ""},
	} {
		b := fakeBench(t, []plan{p}, "older")
		b.servers[0].Kind = c.kind
		b.rounds(t.Context())
		o := b.results.Scenarios[0].Outcomes[0]
		if o.Failed != c.failed || o.Absent != c.absent {
			t.Errorf("%s: failed %q, absent %q; want %q, %q", c.kind, o.Failed, o.Absent, c.failed, c.absent)
		}
	}
}
