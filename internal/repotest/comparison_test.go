package repotest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A library is a column of the comparison in README.md.
type library struct {
	name     string
	module   string
	peers    []string // its configurations in results.json; each figure is that of the best
	client   string   // its name as a client there
	judged   string   // its heading in docs/conformance-peers.md
	features []string // a cell for each line of features
}

// features are the first cells of the lines that are not measured.
var features = []string{
	"modules that it needs",
	"an idle connection has no goroutine",
	"checks that text is UTF-8",
	"any goroutine may send",
	"a receive that is cancelled leaves the connection usable",
	"heartbeat",
	"permessage-deflate with context takeover",
}

// libraries are the columns. Their features are those of the versions in
// results.json: gorilla's doc.go (Concurrency) and compression.go; coder's
// conn.go and its README; gws' option.go and README; gobwas' wsutil and wsflate;
// nbio's nbhttp/websocket/upgrader.go and conn.go.
var libraries = []library{
	{"fibersock", "", []string{"fibersock"}, "fibersock", "fibersock",
		[]string{"0", "yes, on Linux", "yes", "yes", "yes", "on by default", "yes"}},
	{"gorilla", "github.com/gorilla/websocket", []string{"gorilla"}, "gorilla", "gorilla/websocket",
		[]string{"0", "no", "no", "no", "no", "by the application", "no"}},
	{"coder", "github.com/coder/websocket", []string{"coder"}, "coder", "coder/websocket",
		[]string{"0", "no", "no", "yes", "no", "by the application", "yes"}},
	{"gws", "github.com/lxzan/gws", []string{"gws", "gws-parallel"}, "gws", "lxzan/gws",
		[]string{"2", "no", "option", "yes", "has events only", "by the application", "yes"}},
	{"gobwas", "github.com/gobwas/ws", []string{"gobwas", "gobwas-poll"}, "gobwas", "gobwas/ws",
		[]string{"1", "with a poller of one's own", "option", "no", "no", "by the application", "no"}},
	{"nbio", "github.com/lesismal/nbio", []string{"nbio"}, "nbio", "lesismal/nbio",
		[]string{"1", "yes", "yes", "yes", "has events only", "by the application", "no"}},
}

// A measured is a line of the comparison with a figure of results.json.
type measured struct {
	scenario string
	text     string // the first cell
	chart    string // the heading in the chart, "" for a line that is not in it
}

var figuresOfComparison = []measured{
	{"conns-1000", "processor time per echo of 125 B, 1,000 connections", "Processor time per message (echo of 125 B on 1,000 connections)"},
	{"inflight-16", "the same with 16 messages of each connection in flight", ""},
	{"echo-16k", "processor time per echo of 16 KiB", ""},
	{"echo-1m", "processor time per echo of 1 MiB", ""},
	{"tls-125", "processor time per echo of 125 B over TLS", ""},
	{"broadcast-1000", "processor time per delivery of a broadcast to 1,000", ""},
	{"churn", "processor time per connection: open, echo, close", ""},
	{"client-125", "processor time of a client per echo of 125 B", ""},
	{"idle", "memory of an idle connection", "Memory of an idle connection"},
	{"idle-tls", "memory of an idle connection over TLS", ""},
}

// results are the fields of docs/performance/results.json that the comparison
// uses; bench/README.md has all.
type results struct {
	Date     time.Time
	Revision string
	Machine  struct {
		CPU        string
		Processors int
		System, Go string
	}
	Servers   []struct{ Name, Module, Version string }
	Scenarios []struct {
		Name, Primary string
		Clients       bool
		Outcomes      []struct {
			Peer           string
			Failed, Absent string
			Median         map[string]float64
		}
	}
}

func readResults(t *testing.T) *results {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "performance", "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(results)
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// A cell is a figure, or a word in its place.
type cell struct {
	value float64 // 0 for a word
	unit  string
	word  string
}

func (c cell) String() string {
	if c.word != "" {
		return c.word
	}
	return threeDigits(c.value) + " " + c.unit
}

// figure returns the best figure of the configurations of a library.
func (r *results) figure(scenario string, l library) cell {
	best := cell{word: "not measured"}
	for _, s := range r.Scenarios {
		peers := l.peers
		if s.Clients {
			peers = []string{l.client}
		}
		for _, o := range s.Outcomes {
			if s.Name != scenario || !slices.Contains(peers, o.Peer) {
				continue
			}
			value := o.Median[s.Primary]
			switch unit := map[string]string{"cpu_ns": "ns", "conn_bytes": "B"}[s.Primary]; {
			case value > 0 && (best.value == 0 || value < best.value):
				best = cell{value: value, unit: unit}
			case best.value > 0:
			case o.Failed != "":
				best.word = "failed"
			case o.Absent != "":
				best.word = "not there"
			}
		}
	}
	return best
}

// version returns the measured version of a library.
func (r *results) version(l library) string {
	for _, s := range r.Servers {
		if s.Module == l.module && l.module != "" {
			return " " + s.Version
		}
	}
	return ""
}

// threeDigits returns x with three digits and a comma for thousands.
func threeDigits(x float64) string {
	if scale := math.Pow(10, math.Floor(math.Log10(x))-2); scale > 1 {
		x = math.Round(x/scale) * scale
	}
	digits := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// verdicts returns the counts of all cases for each implementation, as a server
// or as a client, from the tables of docs/conformance-peers.md.
func verdicts(t *testing.T, heading string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "conformance-peers.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(unix(string(text)), "\n### "+heading+"\n")
	names, all := []string(nil), make(map[string]string)
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch cells[0] {
		case "cases":
			names = cells
		case "all":
			for i, name := range names[1:] {
				counts, _, _ := strings.Cut(cells[i+1], "<br>")
				all[name] = counts
			}
			return all
		}
	}
	t.Fatalf("no table %q: %v", heading, found)
	return nil
}

func TestComparisonPageIsCurrent(t *testing.T) {
	r := readResults(t)
	var b strings.Builder
	row := func(first string, cells []string) {
		fmt.Fprintf(&b, "| %s | %s |\n", first, strings.Join(cells, " | "))
	}

	var heads []string
	for _, l := range libraries {
		name := l.name + r.version(l)
		if l.module != "" {
			name = fmt.Sprintf("[%s](https://%s)%s", l.name, l.module, r.version(l))
		}
		heads = append(heads, name)
	}
	b.WriteString("\n")
	row("", heads)
	b.WriteString("|---" + strings.Repeat("|--:", len(libraries)) + "|\n")
	for i, feature := range features {
		var cells []string
		for _, l := range libraries {
			cells = append(cells, l.features[i])
		}
		row(feature, cells)
	}
	for _, heading := range []string{"As servers", "As clients"} {
		all := verdicts(t, heading)
		checkClaim(t, all["fibersock"])
		var cells []string
		for _, l := range libraries {
			ok, rest, _ := strings.Cut(all[l.judged], " OK")
			switch failed := countOf(rest, "FAILED"); {
			case all[l.judged] == "":
				ok = "not judged"
			case failed != "":
				ok += ", " + failed + " failed"
			}
			cells = append(cells, ok)
		}
		row("OK in the 514 cases of Autobahn that judge, "+strings.ToLower(heading), cells)
	}
	for _, m := range figuresOfComparison {
		row(m.text, bestInBold(r, m))
	}
	fmt.Fprintf(&b, "\nMeasured %s at %s on %d processors (%s, %s, %s) by `make bench-full`; the best figure of a line is bold.",
		r.Date.Format("2 January 2006"), r.Revision, r.Machine.Processors, r.Machine.CPU, r.Machine.System, r.Machine.Go)
	checkPage(t, "README.md", "comparison", b.String())
}

// TestPerformancePageIsCurrent writes the lines of the comparison with figures:
// fibersock beside the best of the others.
func TestPerformancePageIsCurrent(t *testing.T) {
	r := readResults(t)
	var b strings.Builder
	b.WriteString("\n| | fibersock | best of the others | its name | ratio |\n|---|--:|--:|---|--:|\n")
	for _, m := range figuresOfComparison {
		ours, best, name := r.figure(m.scenario, libraries[0]), cell{}, ""
		for _, l := range libraries[1:] {
			if c := r.figure(m.scenario, l); c.value > 0 && (name == "" || c.value < best.value) {
				best, name = c, l.name
			}
		}
		if ours.value == 0 || name == "" {
			t.Fatalf("%s: %v, %v", m.scenario, ours, best)
		}
		fmt.Fprintf(&b, "| %s | %v | %v | %s | %.2f |\n", m.text, ours, best, name, ours.value/best.value)
	}
	fmt.Fprintf(&b, "\nMeasured %s at %s on %d processors (%s, %s, %s) by `make bench-full`.", r.Date.Format("2 January 2006"), r.Revision,
		r.Machine.Processors, r.Machine.CPU, r.Machine.System, r.Machine.Go)
	checkPage(t, "docs/performance.md", "figures", b.String())
}

// checkClaim compares the first claim of README.md with the verdicts on
// fibersock in one role.
func checkClaim(t *testing.T, verdicts string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	claim := "OK in all 514 cases of the Autobahn TestSuite that have a verdict; 3 are informational"
	if verdicts != "514 OK, 3 INFORMATIONAL" || !strings.Contains(string(text), claim) {
		t.Errorf("README.md says %q; the verdicts are %s", claim, verdicts)
	}
}

// countOf returns the number before a verdict in a list of counts, or "".
func countOf(counts, verdict string) string {
	for _, part := range strings.Split(counts, ", ") {
		if n, found := strings.CutSuffix(part, " "+verdict); found {
			return n
		}
	}
	return ""
}

func bestInBold(r *results, m measured) (cells []string) {
	best := math.Inf(1)
	for _, l := range libraries {
		if c := r.figure(m.scenario, l); c.value > 0 {
			best = min(best, c.value)
		}
	}
	for _, l := range libraries {
		c := r.figure(m.scenario, l)
		text := c.String()
		if c.value == best {
			text = "**" + text + "**"
		}
		cells = append(cells, text)
	}
	return cells
}

// The chart has the colors of those in docs/performance, for light and dark.
const chartStyle = `<style>
svg{font-family:-apple-system,"Segoe UI","Helvetica Neue",Inter,"Noto Sans","DejaVu Sans",Arial,sans-serif;font-size:13px;font-variant-numeric:tabular-nums}
.card{fill:#fff;stroke:#d8dee4}.t{fill:#1f2328}.head{fill:#1f2328;font-size:15px;font-weight:600}.ours{fill:#0550ae;font-weight:600}.muted{fill:#59636e}
.b{fill:#6e7781}.b-ours{fill:#0969da}
@media (prefers-color-scheme:dark){
.card{fill:#0d1117;stroke:#3d444d}.t,.head{fill:#f0f6fc}.ours{fill:#79c0ff}.muted{fill:#9198a1}.b{fill:#9198a1}.b-ours{fill:#4493f8}
}
</style>
`

// TestChartPageIsCurrent draws a bar for each library.
func TestChartPageIsCurrent(t *testing.T) {
	r := readResults(t)
	const width, left, bar, step = 760, 100, 520, 24
	var body strings.Builder
	y := 0
	for _, m := range figuresOfComparison {
		if m.chart == "" {
			continue
		}
		y += 36
		fmt.Fprintf(&body, "<text class=\"head\" x=\"20\" y=\"%d\">%s</text>\n", y, m.chart)
		most := 0.0
		for _, l := range libraries {
			most = max(most, r.figure(m.scenario, l).value)
		}
		y += 10
		for i, l := range libraries {
			c := r.figure(m.scenario, l)
			text, fill, length := "t", "b", max(2, c.value/most*bar)
			switch {
			case i == 0:
				text, fill = "ours", "b-ours"
			case c.word != "":
				text = "muted"
			}
			fmt.Fprintf(&body, "<text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", text, left-8, y+16, l.name)
			at := float64(left)
			if c.word == "" {
				fmt.Fprintf(&body, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"16\" rx=\"2\"/>\n", fill, left, y+3, length)
				at += length + 8
			}
			fmt.Fprintf(&body, "<text class=\"%s\" x=\"%.1f\" y=\"%d\">%s</text>\n", text, at, y+16, c)
			y += step
		}
	}
	height := y + 20
	head := fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\">\n<title>Processor time per message and memory of an idle connection of %d libraries; less is better</title>\n",
		width, height, len(libraries))
	card := fmt.Sprintf("<rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", width-1, height-1)
	checkFile(t, "docs/comparison.svg", head+chartStyle+card+body.String()+"</svg>\n")
}

func TestFiguresHaveThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{289.109: "289", 1000.24: "1,000", 4239.07: "4,240", 311213: "311,000", 95.8: "96", 1234567: "1,230,000"} {
		if got := threeDigits(x); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}
