package report

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

// table writes the results as a table, and returns its lines.
func tableOf(t *testing.T, o TableOptions, results ...*conform.Result) []string {
	t.Helper()
	var b strings.Builder
	check.Must(t, WriteTable(&b, results, o))
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestTableCountsEachClassAndExplainsWhatIsNotOK(t *testing.T) {
	unclean := result("2.2")
	unclean.BehaviorClose, unclean.WhyClose = conform.Unclean, "The peer sent no Close."
	informational := result("7.13.1")
	informational.Behavior, informational.BehaviorClose = conform.Informational, conform.Informational
	got := tableOf(t, TableOptions{}, broken("2.10"), unclean, result("1.1.1"), result("1.1.2"), informational)
	want := strings.Split(`class                     cases  OK  INFORMATIONAL  FAILED  close WRONG CODE  close UNCLEAN
1.*    Framing                2   2              -       -                 -              -
2.*    Ping and Pong          2   1              -       1                 1              1
7.*    Closing handshake      1   -              1       -                 -              -

2.2      OK, close UNCLEAN
         close     The peer sent no Close.
         expected  The same message comes back, then a clean closing handshake.

2.10     FAILED, close WRONG CODE
         why       A Pong came, where nothing was expected.
         close     The peer's status code was 1001 with the reason "going", not 1002.
         expected  The same message comes back, then a clean closing handshake.

server, "fibersock/epoll": 5 cases: 3 OK, 1 INFORMATIONAL, 1 FAILED; closing handshake: 2 OK, 1 INFORMATIONAL, 1 WRONG CODE, 1 UNCLEAN`, "\n")
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A reason that holds for many cases in a row is told once, and cases that nobody ran are counted.
func TestTableTellsOnceWhatIsAlike(t *testing.T) {
	refused := func(id string) *conform.Result {
		r := broken(id)
		r.Why, r.WhyClose = "The answer was 404.", "It did not open."
		return r
	}
	flagged := result("13.2.1")
	flagged.Flags = []string{"the answer is without it"}
	got := strings.Join(tableOf(t, TableOptions{Selected: 9}, refused("1.1.1"), refused("1.1.2"), refused("1.1.3"), refused("1.1.4"), broken("2.1"), flagged), "\n")
	for _, want := range []string{
		"\n1.1.1 to 1.1.4, 4 cases: FAILED, close WRONG CODE\n         why       The answer was 404.\n         close     It did not open.\n\n2.1 ",
		"\n13.2.1   OK, close OK\n         flagged   the answer is without it\n",
		": 6 of 9 cases: 1 OK, 5 FAILED; closing handshake: 1 OK, 5 WRONG CODE; 1 flagged",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	about := broken("3.1")
	about.Case.Section = "RFC 6455, 5.2"
	if got := strings.Join(tableOf(t, TableOptions{}, about), "\n"); !strings.Contains(got, "\n         section   RFC 6455, 5.2") {
		t.Errorf("the section is missing in\n%s", got)
	}
}

// A peer without an extension has not 216 things to say.
func TestTableTellsOnceWhatIsUnimplemented(t *testing.T) {
	var results []*conform.Result
	for _, c := range conform.Cases() {
		r := &conform.Result{Case: c, Agent: "a", Role: conform.Server, Behavior: conform.OK, BehaviorClose: conform.OK}
		if class := c.Class(); class == "12" || class == "13" {
			r.Behavior, r.Why = conform.Unimplemented, "it was not agreed on"
		}
		switch c.ID {
		case "12.1.5":
			r.Behavior, r.Why = conform.Failed, "it came back changed"
		case "12.1.7":
			r.BehaviorClose, r.WhyClose = conform.Unclean, "it did not end"
		}
		results = append(results, r)
	}
	var b strings.Builder
	check.Must(t, WriteTable(&b, results, TableOptions{}))
	for _, want := range []string{"12.1.1 to 12.1.4, 4 cases: UNIMPLEMENTED, close OK\n         why       it was not agreed on\n", "12.1.5   FAILED", "12.1.6   UNIMPLEMENTED, close OK", "12.1.7   UNIMPLEMENTED, close UNCLEAN", "12.1.8 to 13.7.18, 209 cases: UNIMPLEMENTED"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "it was not agreed on"); n != 4 {
		t.Errorf("the reason is told %d times", n)
	}
}

func TestTableCanListEveryCase(t *testing.T) {
	listed := func(o TableOptions) bool {
		return slices.Contains(tableOf(t, o, result("1.1.1")), "1.1.1    OK, close OK")
	}
	if listed(TableOptions{}) {
		t.Error("a case that is OK is listed")
	}
	if !listed(TableOptions{Every: true}) {
		t.Error("a case that is OK is not listed, though every case was asked for")
	}
}

func TestColorsChangeNothingElse(t *testing.T) {
	results := []*conform.Result{result("1.1.1"), broken("2.1")}
	plain, colored := tableOf(t, TableOptions{}, results...), tableOf(t, TableOptions{Color: true}, results...)
	if slices.Equal(plain, colored) {
		t.Fatal("there are no colors")
	}
	sgr := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for i, line := range colored {
		check.Equal(t, sgr.ReplaceAllString(line, ""), plain[i], "")
	}
}

func TestHostileTextCannotSteerTheTerminal(t *testing.T) {
	r := hostileResult("1.1.1")
	r.Agent = strings.Repeat("x\r\n\x9b", 1000)
	r.Why += strings.Repeat("\x07\xff", 1000)
	for _, line := range tableOf(t, TableOptions{}, r) {
		for _, c := range line {
			if c < ' ' || c == 0x9b || c == '\u202e' || c == '\ufffd' {
				t.Fatalf("a line contains %q", c)
			}
		}
		if len(line) > 5000 {
			t.Fatalf("a line has %d octets", len(line))
		}
	}
}

func TestTableOfNothing(t *testing.T) {
	got := tableOf(t, TableOptions{})
	if last := got[len(got)-1]; last != "0 cases: none; closing handshake: none" {
		t.Errorf("got %q", last)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

func TestTableReportsTheErrorOfItsWriter(t *testing.T) {
	check.Is(t, WriteTable(failingWriter{}, nil, TableOptions{}), errors.ErrUnsupported, "got the error")
}
