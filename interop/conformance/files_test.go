package conformance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peer"
	"github.com/fibersock/fibersock/wstest/conform"
)

// verdicts are the verdicts on the cases, by id or, in a file, by a prefix of
// the ids with "*".
type verdicts map[string]verdict

type verdict struct {
	Behavior conform.Verdict `json:"behavior"`
	Close    conform.Verdict `json:"behaviorClose"`
}

func fileOf(p peer.Peer, role conform.Role) string {
	return p.Name + "-" + string(role) + ".json"
}

func verdictsOf(results []*conform.Result) verdicts {
	v := verdicts{}
	for _, r := range results {
		v[r.Case.ID] = verdict{r.Behavior, r.BehaviorClose}
	}
	return v
}

// write writes v, of all cases, to its file in few lines.
func (v verdicts) write(t *testing.T, p peer.Peer, role conform.Role) {
	t.Helper()
	patterns := verdicts{}
	v.summarize("", verdict{}, patterns)
	var b bytes.Buffer
	b.WriteString("{\n\t\"" + p.Name + "\": {")
	for i, key := range slices.SortedFunc(maps.Keys(patterns), compareKeys) {
		line, err := json.Marshal(patterns[key])
		check.Must(t, err)
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n\t\t\"" + key + "\": " + string(line))
	}
	b.WriteString("\n\t}\n}\n")
	check.Must(t, os.WriteFile(fileOf(p, role), b.Bytes(), 0o644))
}

// summarize adds to patterns the verdicts of v on the ids with this prefix,
// such as "6.4.". fallback is the verdict of the patterns so far.
func (v verdicts) summarize(prefix string, fallback verdict, patterns verdicts) {
	counts := map[verdict]int{}
	for id, verdict := range v {
		if strings.HasPrefix(id, prefix) {
			counts[verdict]++
		}
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(counts)), func(a, b verdict) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), cmp.Compare(a.Behavior, b.Behavior), cmp.Compare(a.Close, b.Close))
	})
	if most != fallback && counts[most] > counts[fallback]+1 {
		patterns[prefix+"*"] = most
		fallback = most
	}
	below := map[string]bool{}
	for id, verdict := range v {
		rest, under := strings.CutPrefix(id, prefix)
		if !under {
			continue
		}
		if next, _, deeper := strings.Cut(rest, "."); deeper {
			below[prefix+next+"."] = true
		} else if verdict != fallback {
			patterns[id] = verdict
		}
	}
	for prefix := range below {
		v.summarize(prefix, fallback, patterns)
	}
}

// compareKeys orders ids and patterns by their numbers, the patterns first.
func compareKeys(a, b string) int {
	return cmp.Compare(sortable(a), sortable(b))
}

func sortable(key string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(key, ".") {
		b.WriteString(strings.Repeat(" ", 4-len(part)) + part)
	}
	return b.String()
}

// read returns the committed verdicts of all cases.
func read(t *testing.T, p peer.Peer, role conform.Role) verdicts {
	t.Helper()
	text, err := os.ReadFile(fileOf(p, role))
	check.Must(t, err)
	var agents map[string]verdicts
	check.Mustf(t, json.Unmarshal(text, &agents), "%s", fileOf(p, role))
	v := verdicts{}
	for _, c := range conform.Cases() {
		v[c.ID] = agents[p.Name].of(c.ID)
	}
	return v
}

// of returns the verdict on the case, or that of the longest prefix of its id.
func (v verdicts) of(id string) verdict {
	if exact, ok := v[id]; ok {
		return exact
	}
	for prefix := id; prefix != ""; {
		prefix = prefix[:strings.LastIndex(strings.TrimSuffix(prefix, "."), ".")+1]
		if found, ok := v[prefix+"*"]; ok {
			return found
		}
	}
	return verdict{}
}

// The few lines of a file have the verdict on each case.
func TestSummaryOfVerdictsLosesNothing(t *testing.T) {
	ok := verdict{conform.OK, conform.OK}
	failed := verdict{conform.Failed, conform.Unclean}
	found := verdicts{"1.1.1": ok, "1.1.2": ok, "1.2.1": failed, "2.1": ok, "2.10": failed, "6.1.1": failed, "6.1.2": failed, "6.1.3": failed, "6.2.1": ok}
	patterns := verdicts{}
	found.summarize("", verdict{}, patterns)
	for id, want := range found {
		if got := patterns.of(id); got != want {
			t.Errorf("case %s: %v, want %v, from %v", id, got, want, patterns)
		}
	}
}
