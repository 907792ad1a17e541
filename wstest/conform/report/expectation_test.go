package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

// expectation reads an expectation that has no errors.
func expectation(t *testing.T, text string) *Expectation {
	t.Helper()
	e, err := ReadExpectation(strings.NewReader(text))
	check.Must(t, err)
	return e
}

// lines returns differences as text.
func lines(differences []Difference) string {
	var b strings.Builder
	for _, d := range differences {
		b.WriteString(d.String() + "\n")
	}
	return b.String()
}

func TestIndexOfARunIsTheExpectationOfTheNext(t *testing.T) {
	results := []*conform.Result{result("1.1.1"), broken("1.1.2"), result("10.1.1")}
	dir := write(t, map[string][]*conform.Result{"a": results})
	f, err := os.Open(filepath.Join(dir, "index.json"))
	check.Must(t, err)
	defer f.Close()
	e, err := ReadExpectation(f)
	check.Must(t, err)
	differences, err := e.Compare("b", results)
	if err != nil || len(differences) > 0 {
		t.Errorf("got %v and the error %v", differences, err)
	}
}

func TestMostSpecificExpectationWins(t *testing.T) {
	e := expectation(t, `{"a": {
		"*":      {"behavior": "OK", "behaviorClose": "OK"},
		"6.*":    {"behavior": "NON-STRICT", "behaviorClose": "OK"},
		"6.4.*":  {"behavior": "INFORMATIONAL", "behaviorClose": "OK"},
		"6.4.1":  {"behavior": "FAILED", "behaviorClose": "UNCLEAN"},
		"6.*.2":  {"behavior": "UNIMPLEMENTED", "behaviorClose": "OK"},
		"*.17*9": {"behavior": "FAILED", "behaviorClose": "OK"}
	}}`)
	for id, want := range map[string]Verdicts{
		"1.1.1":    {"OK", "OK"},
		"16.1":     {"OK", "OK"},
		"6.1.1":    {"NON-STRICT", "OK"},
		"6.4.3":    {"INFORMATIONAL", "OK"},
		"6.4.1":    {"FAILED", "UNCLEAN"},
		"6.9.2":    {"UNIMPLEMENTED", "OK"},
		"6.4.2":    {"UNIMPLEMENTED", "OK"}, // as long as "6.4.*", and before it in the alphabet
		"5.17.9":   {"FAILED", "OK"},
		"5.17.1.9": {"FAILED", "OK"},
		"5.17":     {"OK", "OK"},
	} {
		check.Equal(t, expected(e.agents["a"], id), want, "%s", id)
	}
}

func TestPatternStandsForTheWholeID(t *testing.T) {
	for _, c := range []struct {
		pattern, id string
		want        bool
	}{
		{"1.*", "1.1.1", true},
		{"1.*", "11.1", false},
		{"1.*", "2.1.1", false},
		{"*.1", "2.1", true},
		{"*.1", "2.1.2", false},
		{"1*1", "1", false},
		{"1*1", "11", true},
		{"1.*.2.*.3", "1.2.3", false},
		{"1.*.2.*.3", "1.1.2.2.3", true},
		{"**", "1.1", true},
		{"1.1", "1.1", false},
		{"", "", false},
	} {
		check.Equal(t, matches(c.pattern, c.id), c.want, "%q and %q", c.pattern, c.id)
	}
}

func TestEachDeviationIsADifference(t *testing.T) {
	e := expectation(t, `{"the only one": {
		"1.1.1": {"behavior": "OK", "behaviorClose": "OK"},
		"1.1.2": {"behavior": "OK", "behaviorClose": "OK"},
		"1.1.3": {"behavior": "FAILED", "behaviorClose": "WRONG CODE", "duration": [{"x": 1}]},
		"1.1.4": {"behavior": "FAILED", "behaviorClose": "OK"},
		"9.9.9": {"behavior": "OK", "behaviorClose": "OK"}
	}}`)
	nonStrict, wrongCode, unknown := result("1.1.1"), result("1.1.2"), result("1.1.10")
	nonStrict.Behavior = conform.NonStrict
	wrongCode.BehaviorClose = conform.WrongCode
	got, err := e.Compare("another", []*conform.Result{unknown, wrongCode, nonStrict, broken("1.1.3"), result("1.1.4")})
	check.Must(t, err)
	want := `case 1.1.1: expected OK, got NON-STRICT
case 1.1.2: expected close OK, got close WRONG CODE
case 1.1.4: expected FAILED, got OK
case 1.1.10: nothing was expected of it; got OK, close OK
`
	check.Equal(t, lines(got), want, "got")
	both, err := e.Compare("another", []*conform.Result{broken("1.1.1")})
	if want := "case 1.1.1: expected OK, got FAILED; expected close OK, got close WRONG CODE\n"; err != nil || lines(both) != want {
		t.Errorf("got %swant %s%v", lines(both), want, err)
	}
}

func TestOfSeveralAgentsTheOneOfThatName(t *testing.T) {
	e := expectation(t, `{
		"a": {"*": {"behavior": "OK", "behaviorClose": "OK"}},
		"b": {"*": {"behavior": "FAILED", "behaviorClose": "FAILED"}}
	}`)
	results := []*conform.Result{result("1.1.1")}
	if got, err := e.Compare("a", results); err != nil || len(got) != 0 {
		t.Errorf("a: got %v and the error %v", got, err)
	}
	if got, err := e.Compare("b", results); err != nil || len(got) != 1 {
		t.Errorf("b: got %v and the error %v", got, err)
	}
	_, err := e.Compare("c\x1b", results)
	if want := `websocket: nothing is expected of agent "c\x1b", only of "a", "b"`; err == nil || err.Error() != want {
		t.Errorf("got the error %v, want %s", err, want)
	}
}

func TestFaultsOfAnExpectationAreErrorsThatSayWhere(t *testing.T) {
	const ok = `{"behavior": "OK", "behaviorClose": "OK"}`
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"blank", " \n\n", "is empty"},
		{"no agent", "{}", "names no agent"},
		{"not an object", "[]", "line 1: the file must be an object"},
		{"null", "null", "line 1: the file must be an object"},
		{"agent is not an object", "{\n\"a\": 1}", `line 2: agent "a" must be an object`},
		{"case is not an object", "{\n\"a\": {\n\"1.1\": \"OK\"}}", `line 3: case "1.1" of agent "a" must be an object`},
		{"verdict is not a string", "{\n\"a\": {\n\"1.1\": {\"behavior\":\n1}}}", "line 4:"},
		{"no such verdict", "{\"a\": {\n\"1.1\": {\"behavior\": \"Ok\", \"behaviorClose\": \"OK\"}}}", `line 2: case "1.1" of agent "a": "behavior": there is no verdict "Ok"`},
		{"hostile verdict", "{\"a\": {\"1.1\": {\"behaviorClose\": \"\x1b\"}}}", "line 1"},
		{"verdict missing", `{"a": {"1.1": {"behavior": "OK"}}}`, `needs both "behavior" and "behaviorClose"`},
		{"agent twice", "{\"a\": {},\n\"a\": {}}", `line 2: the file has the key "a" twice`},
		{"case twice", "{\"a\": {\n\"1.1\": " + ok + ",\n\n\"1.1\": " + ok + "}}", `line 4: agent "a" has the key "1.1" twice`},
		{"verdict twice", "{\"a\": {\n\"1.1\": {\"behavior\": \"OK\",\n\"behavior\": \"OK\", \"behaviorClose\": \"OK\"}}}", `line 3: case "1.1" of agent "a" has the key "behavior" twice`},
		{"not JSON", "{\n\"a\": {\n1}}", "line 3:"},
		{"ends early", "{\"a\":\n{", "line 2: unexpected EOF"},
		{"ends in a case", "{\"a\":\n{\"1.1\": {\"behavior\": ", "line 2: unexpected EOF"},
		{"more behind", "{\"a\": {}}\n{}", "line 2: there is more after the end"},
		{"bracket too many", "{\"a\": {}}\n}", "line 2: there is more after the end"},
	} {
		e, err := ReadExpectation(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "websocket: ") {
			t.Errorf("%s: got %v and the error %v, want one with %q", c.name, e, err, c.want)
		}
	}
	check.Is(t, check.Err(ReadExpectation(iotest.ErrReader(errors.ErrUnsupported))), errors.ErrUnsupported, "a reader that fails: got the error")
}

func FuzzReadExpectation(f *testing.F) {
	f.Add(`{"a": {"1.*": {"behavior": "OK", "behaviorClose": "UNCLEAN", "duration": 3}}}`)
	f.Add(`{"a": {"1.1": {"behavior": "OK", "behavior`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ReadExpectation(strings.NewReader(text))
		if err != nil {
			return
		}
		for agent := range e.agents {
			check.OK(t, check.Err(e.Compare(agent, []*conform.Result{result("1.1")})))
		}
	})
}
