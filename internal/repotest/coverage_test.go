package repotest

import (
	"os"
	"testing"
)

// root is the root of the repository, seen from this package.
const root = "../.."

// A listed thing has a number, and a text for a complaint.
type listed struct{ id, text string }

func listedRules(t *testing.T) (list []listed) {
	for _, r := range all(t) {
		list = append(list, listed{r.ID, r.Level + ": " + r.Text})
	}
	return list
}

func listedThreats(t *testing.T) (list []listed) {
	for _, threat := range threats(t) {
		list = append(list, listed{threat.ID, threat.Text})
	}
	return list
}

func TestEveryCitedNumberExists(t *testing.T) {
	known := make(map[string]bool)
	for _, l := range append(listedRules(t), listedThreats(t)...) {
		known[l.id] = true
	}
	for id, by := range collected(t) {
		if !known[id] {
			t.Errorf("%s (%s) cites %s, which is neither in rules.txt nor in threats.txt; cite by whole numbers", by[0].name, by[0].file, id)
		}
	}
}

// Not only a MUST: also what a source recommends, permits or tells is exercised or
// has a reason why it is not.
func TestEveryRuleIsExercisedOrSaysWhyNot(t *testing.T) {
	checkCoverage(t, listedRules(t), "exceptions.txt", exceptions(t))
}

func TestEveryThreatIsAnsweredOrSaysWhyNot(t *testing.T) {
	checkCoverage(t, listedThreats(t), "threat_exceptions.txt", threatExceptions(t))
}

// checkCoverage holds a list against the tests that cite it and the file of
// exceptions to it.
func checkCoverage(t *testing.T, list []listed, file string, exceptions []Exception) {
	known := make(map[string]bool)
	for _, l := range list {
		known[l.id] = true
	}
	reasons := make(map[string]string)
	for _, e := range exceptions {
		reasons[e.ID] = e.Reason
		if !known[e.ID] {
			t.Errorf("%s: there is no %s", file, e.ID)
		}
		if len(e.Reason) < len("not built") {
			t.Errorf("%s: %q is no reason for %s", file, e.Reason, e.ID)
		}
	}
	cited := collected(t)
	for _, l := range list {
		switch by := cited[l.id]; {
		case len(by) > 0 && reasons[l.id] != "":
			t.Errorf("%s stands in %s, and %s (%s) cites it: one of them is wrong", l.id, file, by[0].name, by[0].file)
		case len(by) == 0 && reasons[l.id] == "":
			t.Errorf("no test cites %s: %s\nwrite one, or give the reason in %s", l.id, l.text, file)
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
