package report

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The generated part of the page is between these two lines.
const (
	beginMark = "<!-- results: what follows is written by the benchmark -->"
	endMark   = "<!-- end of results -->"
)

var errMarks = errors.New("report: the page has not the two marks between which results stand")

// NewPage is a page with no more than the marks.
const NewPage = "# Performance\n\n" + beginMark + "\n" + endMark + "\n"

// Replace returns page with its generated part replaced by r's.
func (r *Results) Replace(page []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(page, []byte(beginMark))
	if !ok {
		return nil, errMarks
	}
	_, after, ok := bytes.Cut(rest, []byte(endMark))
	if !ok {
		return nil, errMarks
	}
	return slices.Concat(before, []byte(beginMark), []byte("\n"), r.Markdown(), []byte(endMark), after), nil
}

// Markdown returns the generated part: machine, peers, and a chart and a table for each scenario.
func (r *Results) Markdown() []byte {
	var b bytes.Buffer
	b.WriteString("\n## Results\n\n")
	r.facts(&b)
	b.WriteString("\n### Who is compared\n\n")
	r.peers(&b)
	if r.hasOverview() {
		b.WriteString("\n### At a glance\n\n")
		r.overview(&b)
	}
	for i := range r.Scenarios {
		r.section(&b, &r.Scenarios[i])
	}
	b.WriteString("\n")
	return b.Bytes()
}

func (r *Results) facts(b *bytes.Buffer) {
	m := &r.Machine
	markdownRow(b, "", "")
	markdownRow(b, "---", "---")
	fact := func(name, text string) {
		if text != "" {
			markdownRow(b, name, text)
		}
	}
	ended := ""
	if r.Interrupted {
		ended = "; interrupted, so not all rounds were run"
	}
	fact("date", fmt.Sprintf("%s, a %s run of %s%s", r.Date.UTC().Format("2 January 2006, 15:04 UTC"), r.Mode, duration(r.Seconds), ended))
	fact("fibersock", r.Revision)
	fact("processor", fmt.Sprintf("%s, %d of them", m.CPU, m.Processors))
	if m.MemoryBytes > 0 {
		fact("memory", memory(float64(m.MemoryBytes)))
	}
	fact("system", strings.TrimSuffix(m.System+", "+m.Kernel, ", "))
	fact("Go", m.Go)
	if m.ServerOn != "" {
		fact("servers on processor", m.ServerOn)
		fact("load on processor", m.LoadOn)
	}
	fact("processor times from", m.Accounting)
	if m.Others > 0 || m.Stolen > 0 {
		fact("other work meanwhile", fmt.Sprintf("%.0f %% of all processors for other processes, %.0f %% taken by the hypervisor", 100*m.Others, 100*m.Stolen))
	}
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}

func (r *Results) peers(b *bytes.Buffer) {
	markdownRow(b, "server", "what", "version", "checks UTF-8", "waits with", "configuration")
	markdownRow(b, "---", "---", "---", "---", "---", "---")
	for _, p := range r.Servers {
		markdownRow(b, peerCells(p)...)
	}
	for _, p := range r.Clients {
		p.Name += " (client)"
		markdownRow(b, peerCells(p)...)
	}
}

func peerCells(p Peer) []string {
	what := p.Module
	if p.Kind == Limit {
		what = "a limit, no library"
	}
	if p.Missing != "" {
		return []string{p.Name, what, "", "", "", "not built: " + p.Missing}
	}
	return []string{p.Name, what, p.Version, yes(p.UTF8), p.Loop, p.Notes}
}

// section is one scenario.
func (r *Results) section(b *bytes.Buffer, s *Scenario) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", s.Title, s.Detail)
	if r.hasChart(s) {
		fmt.Fprintf(b, "![%s](%s)\n\n", plain(chartAlt(s)), ChartFile(s))
	}
	t := r.table(s, r.columns(s))
	markdownRow(b, t.columns...)
	align := make([]string, len(t.columns))
	for i := range align {
		align[i] = "--:"
	}
	align[0] = "---"
	markdownRow(b, align...)
	for _, row := range t.rows {
		markdownRow(b, row...)
	}
	for i, note := range t.notes {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "- %s\n", plain(note))
	}
	r.verdict(b, s)
}

// verdict states the order of ours and the others.
func (r *Results) verdict(b *bytes.Buffer, s *Scenario) {
	peer, name := r.Best(s)
	ours := r.Ours(s)
	if peer == 0 || ours == 0 {
		return
	}
	what := heading(s, s.Primary)
	switch {
	case ours <= peer:
		fmt.Fprintf(b, "\nThe best peer is %s; fibersock has %s of its %s.\n", name, ratio(ours, peer), what)
	default:
		fmt.Fprintf(b, "\n**%s wins**: fibersock has %s times its %s.\n", name, ratio(ours, peer), what)
	}
}

// hasOverview reports whether ours can be compared.
func (r *Results) hasOverview() bool { return len(r.compared()) > 0 }

func (r *Results) compared() []*Scenario {
	var list []*Scenario
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		peer, _ := r.Best(s)
		ours := r.Ours(s)
		if peer > 0 && ours > 0 {
			list = append(list, s)
		}
	}
	return list
}

func (r *Results) overview(b *bytes.Buffer) {
	fmt.Fprintf(b, "![fibersock and the best peer of each scenario](%s)\n\n", OverviewFile)
	b.WriteString("Each scenario by its own figure; less is better. A ratio under 1 is for fibersock, over 1 for the best peer.\n\n")
	markdownRow(b, "scenario", "figure", "fibersock", "best peer", "its name", "fibersock ÷ best peer")
	markdownRow(b, "---", "---", "--:", "--:", "---", "--:")
	for _, s := range r.compared() {
		peer, name := r.Best(s)
		ours := r.Ours(s)
		markdownRow(b, s.Title, heading(s, s.Primary), value(s.Primary, ours), value(s.Primary, peer), name, ratio(ours, peer))
	}
}

// markdownRow writes one line of a table.
func markdownRow(b *bytes.Buffer, cells ...string) {
	for _, c := range cells {
		b.WriteString("| ")
		b.WriteString(plain(c))
		b.WriteByte(' ')
	}
	b.WriteString("|\n")
}

// plain makes foreign text harmless in Markdown: one line, without markup or
// HTML.
func plain(text string) string {
	return markup.Replace(strings.Join(strings.Fields(text), " "))
}

var markup = strings.NewReplacer("|", `\|`, "<", "&lt;", "&", "&amp;", "`", "'", "*", `\*`, "[", `\[`, "]", `\]`)
