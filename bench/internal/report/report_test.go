package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample has one peer of each sort and each sort of scenario.
func sample() *Results {
	cpu := func(round int, ns float64) Run {
		return Run{round, Figures{CPU: ns, CPUUser: ns / 4, CPUSystem: ns * 3 / 4, Rate: 1e9 / ns, P50: 90, P99: 400, P999: 1500, Allocs: 0.001, Messages: 1000}}
	}
	r := &Results{
		Schema: SchemaVersion, Date: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), Mode: "quick", Seconds: 250,
		Machine: Machine{CPU: "Some <Processor> & Co", Processors: 2, System: "linux/amd64", Kernel: "Linux 6", Congestion: "cubic", Go: "go1.26", ServerOn: "0", LoadOn: "1"},
		Servers: []Peer{
			{Name: "fibersock", Kind: Ours, Module: "github.com/fibersock/fibersock", Version: "devel", UTF8: true},
			{Name: "fibersock-portable", Kind: Ours, UTF8: true},
			{Name: "quick", Kind: Library, Module: "example.com/quick", Version: "v1.0.0"},
			{Name: "slow|er", Kind: Library, Module: "example.com/slow", Version: "v1.0.0", UTF8: true},
			{Name: "broken", Kind: Library},
			{Name: "limited", Kind: Library},
			{Name: "bare", Kind: Limit},
			{Name: "foreign", Kind: Foreign},
		},
		Clients: []Peer{{Name: "fibersock", Kind: Ours}, {Name: "quick", Kind: Library}},
		Scenarios: []Scenario{
			{Name: "echo", Title: "Echo, 125 B", Detail: "there and back", Unit: "message", Primary: CPU, Rounds: 3, Outcomes: []Outcome{
				{Peer: "fibersock", Runs: []Run{cpu(1, 3000), cpu(2, 9000), cpu(3, 4000)}},
				{Peer: "fibersock-portable", Runs: []Run{cpu(1, 3500)}},
				{Peer: "quick", Runs: []Run{cpu(1, 2000), cpu(2, 2100), cpu(3, 1900)}},
				{Peer: "slow|er", Runs: []Run{cpu(1, 80000)}},
				{Peer: "broken", Failed: "expected <b>5</b> bytes | got \"6\" & more", Runs: []Run{cpu(1, 1)}},
				{Peer: "limited", Absent: "it has not learned to"},
				{Peer: "bare", Runs: []Run{cpu(1, 1000)}},
				{Peer: "foreign", Runs: []Run{cpu(1, 1500)}},
			}},
			{Name: "idle", Title: "Idle", Detail: "silent", Unit: "connection", Primary: ConnBytes, Rounds: 1, Outcomes: []Outcome{
				{Peer: "fibersock", Runs: []Run{{1, Figures{ConnBytes: 500, RSS: 9 << 20}}}},
				{Peer: "quick", Runs: []Run{{1, Figures{ConnBytes: 20 << 10, RSS: 200 << 20}}}},
			}},
			{Name: "client", Title: "Client", Detail: "there and back", Unit: "message", Primary: CPU, Clients: true, Rounds: 1, Outcomes: []Outcome{
				{Peer: "fibersock", Runs: []Run{cpu(1, 1000)}}, {Peer: "quick", Runs: []Run{cpu(1, 1000)}},
			}},
			{Name: "nothing", Title: "Nothing", Detail: "was measured", Unit: "message", Primary: CPU, Rounds: 1, Outcomes: []Outcome{{Peer: "fibersock"}}},
		},
	}
	r.Summarize()
	return r
}

func TestMedians(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{3, 900, 4}, 4},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestUserAndSystemAreSharedByAllRoundsTogether(t *testing.T) {
	run := func(user, system, messages float64) Run {
		return Run{Figures: Figures{CPU: user + system, CPUUser: user, CPUSystem: system, Messages: messages}}
	}
	got := medians([]Run{run(0, 100, 10), run(40, 60, 30), run(0, 200, 10)})
	if got[CPU] != 100 || got[CPUUser] != 20 || got[CPUSystem] != 80 {
		t.Errorf("%v + %v of %v, want 20 + 80 of 100: 1,200 of 6,000 ns in all were user's", got[CPUUser], got[CPUSystem], got[CPU])
	}
}

func TestRatiosAreToTheBestPeerThatIsALibraryAndDidNotFail(t *testing.T) {
	r := sample()
	s := &r.Scenarios[0]
	if v, name := r.Best(s); v != 2000 || name != "quick" {
		t.Errorf("best library: %v, %v", v, name)
	}
	if v := r.Ours(s); v != 4000 {
		t.Errorf("ours: %v, want the median of the default build's rounds", v)
	}
	if low, high, ok := s.Outcomes[0].Spread(CPU); low != 3000 || high != 9000 || !ok {
		t.Errorf("spread %v to %v, %v", low, high, ok)
	}
	ranked := s.Ranked()
	var names []string
	for _, o := range ranked {
		names = append(names, o.Peer)
	}
	if got := strings.Join(names, " "); got != "bare foreign quick fibersock-portable fibersock slow|er broken limited" {
		t.Errorf("ranked %s", got)
	}
	row := r.table(s, r.columns(s)).rows[4]
	if row[5] != "2.00" || row[6] != "1.00" {
		t.Errorf("fibersock beside the best peer and ours: %v", row)
	}
}

func TestResultsSurviveJSON(t *testing.T) {
	var b bytes.Buffer
	want := sample()
	if err := want.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, wrote %+v", got, want)
	}
	for _, text := range []string{`{"schema":99}`, `[]`, ``} {
		if _, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken for results", text)
		}
	}
}

func TestChartsAreXML(t *testing.T) {
	charts := sample().Charts()
	for _, name := range []string{"echo.svg", "idle.svg", "client.svg", OverviewFile} {
		chart, ok := charts[name]
		if !ok {
			t.Errorf("there is no %s", name)
		}
		d := xml.NewDecoder(bytes.NewReader(chart))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if bytes.Contains(chart, []byte("NaN")) || bytes.Contains(chart, []byte("Inf")) {
			t.Errorf("%s draws a value that is not a number", name)
		}
	}
	if _, ok := charts["nothing.svg"]; ok {
		t.Error("a chart of nothing")
	}
	for _, want := range []string{"failed: expected &lt;b&gt;5", "slow|er", "prefers-color-scheme:dark"} {
		if !bytes.Contains(charts["echo.svg"], []byte(want)) {
			t.Errorf("the chart does not show %s", want)
		}
	}
}

func TestTablesOfThePageAreWellFormed(t *testing.T) {
	columns, inTable := 0, false
	for line := range strings.Lines(string(sample().Markdown())) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inTable = false
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if inTable && n != columns {
			t.Errorf("%d cells under a head of %d: %s", n-1, columns-1, line)
		}
		columns, inTable = n, true
		if strings.Contains(line, "<") {
			t.Errorf("HTML of others: %s", line)
		}
	}
}

func TestColumnsOfProcessorTimeAndOfConnections(t *testing.T) {
	r := sample()
	for i, run := range r.Scenarios[0].Outcomes[2].Runs {
		run.Figures[EER] = 5000
		r.Scenarios[0].Outcomes[2].Runs[i] = run
	}
	idle := &r.Scenarios[1]
	for i := range idle.Outcomes {
		idle.Outcomes[i].Runs[0].Figures[Messages] = float64(1000 * (i + 1))
	}
	r.Summarize()
	titles := func(s *Scenario) string { return strings.Join(r.table(s, r.columns(s)).columns, "|") }
	if got := titles(&r.Scenarios[0]); !strings.Contains(got, "|messages/s|EER|p50|") || strings.Contains(got, "connections") {
		t.Errorf("columns %s, want EER after messages/s", got)
	}
	if got := titles(idle); !strings.Contains(got, "|connections") {
		t.Errorf("columns %s, want the numbers of connections, which differ", got)
	}
	idle.Outcomes[1].Runs[0].Figures[Messages] = 1000
	r.Summarize()
	if got := titles(idle); strings.Contains(got, "|connections") {
		t.Errorf("columns %s with equal numbers of connections", got)
	}
}

func TestPageHasRanksAndFailures(t *testing.T) {
	page := string(sample().Markdown())
	for _, want := range []string{
		"**quick wins**: fibersock has 2.00 times its CPU-ns/message",
		"The best peer is quick; fibersock has 0.02 of its memory/connection",
		"broken failed: expected &lt;b>5&lt;/b> bytes \\| got \"6\" &amp; more",
		"limited is not there: it has not learned to",
		"| slow\\|er | yes | 80,000 |",
		"Some &lt;Processor> &amp; Co, 2 of them",
		"| congestion control of TCP | cubic |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestOnlyTheGeneratedPartOfThePageIsReplaced(t *testing.T) {
	r := sample()
	first, err := r.Replace([]byte("by hand\n" + beginMark + "\nold\n" + endMark + "\nalso by hand\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"by hand\n" + beginMark, endMark + "\nalso by hand\n"} {
		if !bytes.Contains(first, []byte(want)) {
			t.Errorf("%q is gone", want)
		}
	}
	if bytes.Contains(first, []byte("\nold\n")) {
		t.Error("the old results are still there")
	}
	second, err := r.Replace(first)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same results give another page, %v", err)
	}
	for _, page := range []string{"", beginMark, endMark + beginMark} {
		if _, err := r.Replace([]byte(page)); err == nil {
			t.Errorf("%q has not both marks and is taken", page)
		}
	}
}

func TestTheTerminalShowsEachScenario(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Echo, 125 B (echo)", "Client (client)", "not there", "broken failed: expected", "not run"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0514: "0.051", 0.5: "0.500", 3.14159: "3.14", 31.4159: "31.4", 314.159: "314", 3141.59: "3,140",
		1234567: "1,230,000", 119000: "119,000", math.Inf(1): "–", math.NaN(): "–",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for got, want := range map[string]string{
		micros(0.5): "0.500 µs", micros(343): "343 µs", micros(8550): "8.55 ms", micros(2.5e6): "2.50 s",
		memory(95.8): "95.8 B", memory(10 << 10): "10.0 KiB", memory(8 << 20): "8.00 MiB", memory(0.05): "0 B",
		small(0.004): "0", small(1.9311): "1.93", small(5): "5", small(129.4): "129",
		ratio(1, 3): "0.33", ratio(1, 0): "–", plural("delivery"): "deliveries", plural("cycle"): "cycles",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
