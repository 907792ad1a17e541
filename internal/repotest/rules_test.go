package repotest

import (
	"strings"
	"testing"
)

// There are as many rules as in the requirements that the list was made from.
const ruleCount = 288

func TestListIsWhole(t *testing.T) {
	rules := all(t)
	if len(rules) != ruleCount {
		t.Errorf("%d rules, want %d: if a rule was added on purpose, count it here", len(rules), ruleCount)
	}
	for _, r := range rules {
		if strings.Contains(r.Text, "|") || strings.HasSuffix(r.Text, ".") {
			t.Errorf("%s: %q does not fit into a table: no | and no full stop", r.ID, r.Text)
		}
		if cited := Cited(r.ID); len(cited) != 1 || cited[0] != r.ID {
			t.Errorf("a test that cites %s seems to cite %q", r.ID, cited)
		}
	}
}

func TestMalformedListsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"a field too few", "## 1\n6455-3-a | RFC 6455 3 | C | MUST", "4 fields"},
		{"an empty field", "## 1\n6455-3-a | RFC 6455 3 | C | MUST | ", "empty field"},
		{"no number", "## 1\nsomething | RFC 6455 3 | C | MUST | text", "no number"},
		{"an unknown role", "## 1\n6455-3-a | RFC 6455 3 | X | MUST | text", "role"},
		{"an unknown level", "## 1\n6455-3-a | RFC 6455 3 | C | OUGHT | text", "level"},
		{"a number twice", "## 1\n6455-3-a | RFC 6455 3 | C | MUST | text\n6455-3-a | RFC 6455 3 | C | MAY | text", "rules.txt:3: a second"},
		{"no heading", "6455-3-a | RFC 6455 3 | C | MUST | text", "heading"},
	} {
		if _, err := parseRules(c.list); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ name, list, want string }{
		{"no reason", "\t6455-3-a", "without a reason"},
		{"a number twice", "why\n\t6455-3-a 6455-3-b\nwhy not\n\t6455-3-a", "exceptions.txt:4: a second"},
	} {
		if _, err := parseExceptions("exceptions.txt", c.list); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestLevelsThatBind(t *testing.T) {
	for level, want := range map[string]bool{
		"MUST": true, "MUST NOT": true, "MAY, MUST NOT": true, "MUST, MAY": true,
		"SHOULD": false, "SHOULD NOT": false, "MAY": false, "HOUSE": false, "NOTE": false,
	} {
		if got := (Rule{Level: level}).Binding(); got != want {
			t.Errorf("%s: binding %t, want %t", level, got, want)
		}
	}
}

func all(t *testing.T) []Rule {
	t.Helper()
	rules, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func exceptions(t *testing.T) []Exception {
	t.Helper()
	list, err := Exceptions()
	if err != nil {
		t.Fatal(err)
	}
	return list
}
