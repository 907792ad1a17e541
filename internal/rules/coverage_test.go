package rules

import (
	"os"
	"testing"
)

// root is the root of the repository, seen from this package.
const root = "../.."

func TestEveryCitedRuleExists(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range all(t) {
		known[r.ID] = true
	}
	cited := collected(t)
	for id, by := range cited {
		if !known[id] {
			t.Errorf("%s (%s) cites %s, which rules.txt does not have; cite rules by their whole numbers", by[0].name, by[0].file, id)
		}
	}
}

// Not only a MUST: also what a source recommends, permits or tells is exercised or
// has a reason why it is not.
func TestEveryRuleIsExercisedOrSaysWhyNot(t *testing.T) {
	reasons := make(map[string]string)
	for _, e := range exceptions(t) {
		reasons[e.ID] = e.Reason
	}
	cited := collected(t)
	for _, r := range all(t) {
		switch by := cited[r.ID]; {
		case len(by) > 0 && reasons[r.ID] != "":
			t.Errorf("%s stands in exceptions.txt, and %s (%s) cites it: one of them is wrong", r.ID, by[0].name, by[0].file)
		case len(by) == 0 && reasons[r.ID] == "":
			t.Errorf("no test cites %s, %s: %s\nwrite one, or give the reason in exceptions.txt", r.ID, r.Level, r.Text)
		}
	}
}

// collected returns what the tests of the repository cite.
func collected(t *testing.T) citations {
	t.Helper()
	cited, problems, err := collect(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
	if len(cited) == 0 {
		t.Fatal("no test cites anything: the tree is not where it is looked for")
	}
	return cited
}
