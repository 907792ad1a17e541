package repotest

import (
	"strings"
	"testing"
)

// There are as many threats as in the survey that the list was made from.
const threatCount = 129

// openThreats is how many threats are marked as open. It may only become less.
const openThreats = 0

func TestListOfThreatsIsWhole(t *testing.T) {
	list := threats(t)
	if len(list) != threatCount {
		t.Errorf("%d threats, want %d: if one was added on purpose, count it here", len(list), threatCount)
	}
	for _, threat := range list {
		if strings.Contains(threat.Origin+threat.Text, "|") || strings.HasSuffix(threat.Text, ".") {
			t.Errorf("%s: %q does not fit into a table: no | and no full stop", threat.ID, threat.Text)
		}
		if cited := Cited(threat.ID); len(cited) != 1 || cited[0] != threat.ID {
			t.Errorf("a test that cites %s seems to cite %q", threat.ID, cited)
		}
	}
}

func TestOpenThreatsBecomeFewer(t *testing.T) {
	var open []string
	for _, e := range threatExceptions(t) {
		if e.Open() {
			open = append(open, e.ID)
		}
	}
	if len(open) != openThreats {
		t.Errorf("%d threats are open, %q; openThreats is %d", len(open), open, openThreats)
	}
}

// Open is for threats: a rule is kept, or there is a reason why it is not.
func TestNoRuleIsOpen(t *testing.T) {
	for _, e := range exceptions(t) {
		if e.Open() {
			t.Errorf("%s: %s", e.ID, e.Reason)
		}
	}
}

func TestMalformedListsOfThreatsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"a field too few", "## A\nT-A01 | class | B", "3 fields"},
		{"a field too many", "## A\nT-A01 | class | B | text | more", "5 fields"},
		{"an empty field", "## A\nT-A01 |  | B | text", "empty field"},
		{"the number of a rule", "## A\n6455-3-a | class | B | text", "no number"},
		{"an unknown role", "## A\nT-A01 | class | W | text", "threatened"},
		{"a number twice", "## A\nT-A01 | class | B | text\nT-A01 | class | B | text", "threats.txt:3: a second"},
	} {
		if _, err := parseThreats(c.list); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func threats(t *testing.T) []Threat {
	t.Helper()
	list, err := Threats()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func threatExceptions(t *testing.T) []Exception {
	t.Helper()
	list, err := ThreatExceptions()
	if err != nil {
		t.Fatal(err)
	}
	return list
}
