package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

// indexPage is the table of all cases with all agents.
type indexPage struct {
	frameOfPage
	Facts   []fact
	Agents  []agentSummary
	Filters []*badge // the verdicts that occur
	Classes []classRows
	Cases   int
	Columns int // of the table
}

type agentSummary struct {
	Name     string
	Role     string
	Cases    int
	OK       int // the number of cases with the verdict OK
	Flagged  int // the number of cases with a flag
	Selected int // the number of selected cases
	Missing  int // the number of selected cases without a result
	Took     string
	Bar      []barSegment
	Behavior []verdictCount
	Closing  []verdictCount
}

// A barSegment is a verdict's share of a bar of length 1000.
type barSegment struct {
	Slug     string
	Title    string
	X, Width int
}

type verdictCount struct {
	*badge
	Count int
}

type classRows struct {
	ID    string
	Title string
	Note  string // the counts
	Rows  []indexRow
}

// An indexRow is one case.
type indexRow struct {
	ID          string
	Anchor      string
	Description string
	Section     string
	Slugs       string // of all its verdicts, for the filter
	Cells       []indexCell
	Remarks     []remark
}

// An indexCell is the result of a case with one agent.
type indexCell struct {
	Agent    string
	Href     string // "" if the case was not run with it
	Behavior *badge
	Close    *badge
	Duration string // milliseconds
	Code     string // the peer's status code
}

// A remark is the reason for a verdict other than OK.
type remark struct {
	Agent string // "" if there is only one
	Text  string
}

func newIndexPage(agents []*agent, info Info) *indexPage {
	p := &indexPage{frameOfPage: newFrameOfPage(indexTitle(agents), embedded("html/filter.js")), Columns: 1 + 4*len(agents)}
	rows := map[string]*indexRow{}
	seen := map[conform.Verdict]bool{}
	for column, a := range agents {
		p.Agents = append(p.Agents, newAgentSummary(a, info.Selected))
		for i, r := range a.results {
			row := rows[r.Case.ID]
			if row == nil {
				row = newIndexRow(r.Case, agents)
				rows[r.Case.ID] = row
			}
			row.add(column, a, i, len(agents) > 1)
			seen[r.Behavior], seen[r.BehaviorClose] = true, true
		}
	}
	for _, v := range verdicts {
		if seen[v] {
			p.Filters = append(p.Filters, newBadge(v))
		}
	}
	p.Cases = len(rows)
	p.Classes = inClasses(slices.Collect(maps.Values(rows)), agents)
	p.Facts = runFacts(agents, info, p.Cases)
	return p
}

func indexTitle(agents []*agent) string {
	switch len(agents) {
	case 0:
		return "No results"
	case 1:
		return agents[0].shown
	}
	return fmt.Sprintf("%d implementations", len(agents))
}

// runFacts returns the facts about the whole run.
func runFacts(agents []*agent, info Info, cases int) []fact {
	role, started := info.Role, info.Started
	for _, a := range agents {
		for _, r := range a.results {
			role = cmp.Or(role, r.Role)
			if info.Started.IsZero() && (started.IsZero() || r.Started.Before(started)) {
				started = r.Started
			}
		}
	}
	facts := appendFact(nil, "Under test", tested(role))
	facts = appendFact(facts, "Cases", strings.TrimSuffix(fmt.Sprintf("%d: %s", cases, info.Cases), ": "))
	facts = appendFact(facts, "Started", timestamp(started))
	return appendFact(facts, "Judge", info.Judge)
}

func tested(role conform.Role) string {
	if role == "" {
		return ""
	}
	return "as a " + string(role)
}

func newAgentSummary(a *agent, selected int) agentSummary {
	s := agentSummary{Name: a.shown, Cases: len(a.results), Selected: max(selected, len(a.results))}
	s.Missing = s.Selected - s.Cases
	behavior, closing := tally{}, tally{}
	var took time.Duration
	for _, r := range a.results {
		s.Role = string(r.Role)
		behavior[r.Behavior]++
		closing[r.BehaviorClose]++
		took += r.Duration
		if r.Behavior == conform.OK && r.Passed() {
			s.OK++
		}
		if len(r.Flags) > 0 {
			s.Flagged++
		}
	}
	s.Took = readable(took)
	s.Behavior, s.Closing = counts(behavior), counts(closing)
	shares := s.Behavior
	if s.Missing > 0 {
		shares = append(slices.Clip(shares), verdictCount{&badge{Text: "not run", Slug: "not-run"}, s.Missing})
	}
	s.Bar = bar(shares, s.Selected)
	return s
}

func counts(t tally) []verdictCount {
	var list []verdictCount
	for _, v := range verdicts {
		if t[v] > 0 {
			list = append(list, verdictCount{newBadge(v), t[v]})
		}
	}
	return list
}

// bar divides a length of 1000 by the counts, with a visible share for each.
func bar(counts []verdictCount, total int) []barSegment {
	const length, least = 1000, 8
	var segments []barSegment
	x := 0
	for i, c := range counts {
		width := max(c.Count*length/total, least)
		width = min(width, length-x-least*(len(counts)-1-i))
		if i == len(counts)-1 {
			width = length - x
		}
		segments = append(segments, barSegment{c.Slug, fmt.Sprintf("%d %s", c.Count, c.Text), x, width})
		x += width
	}
	return segments
}

func newIndexRow(c *conform.Case, agents []*agent) *indexRow {
	row := &indexRow{ID: c.ID, Anchor: anchor(c.ID), Description: c.Description, Section: c.Section}
	for _, a := range agents {
		row.Cells = append(row.Cells, indexCell{Agent: a.shown})
	}
	return row
}

// anchor returns the name of a case's row.
func anchor(id string) string {
	return caseFile("", id)[1:]
}

// add enters the i-th result of an agent.
func (row *indexRow) add(column int, a *agent, i int, several bool) {
	r := a.results[i]
	cell := &row.Cells[column]
	cell.Href = caseFile(a.base, r.Case.ID) + ".html"
	cell.Behavior, cell.Close = newBadge(r.Behavior), newBadge(r.BehaviorClose)
	cell.Duration = grouped(r.Duration.Milliseconds())
	if code := closeCode(r.RemoteClose); code != nil {
		cell.Code = strconv.Itoa(*code)
	}
	row.Slugs = strings.TrimSpace(row.Slugs + " " + cell.Behavior.Slug + " " + cell.Close.Slug)
	who := ""
	if several {
		who = a.shown
	}
	if remarkable(r.Behavior) && r.Why != "" {
		row.Remarks = append(row.Remarks, remark{who, sentence(r.Why)})
	}
	if remarkable(r.BehaviorClose) && r.WhyClose != "" && r.WhyClose != r.Why {
		row.Remarks = append(row.Remarks, remark{who, sentence(r.WhyClose)})
	}
	for _, flag := range r.Flags {
		row.Remarks = append(row.Remarks, remark{who, "Flagged: " + plain(flag) + "."})
	}
}

// inClasses groups the rows by the classes of their cases.
func inClasses(rows []*indexRow, agents []*agent) []classRows {
	slices.SortFunc(rows, func(a, b *indexRow) int { return compareIDs(a.ID, b.ID) })
	var classes []classRows
	for _, row := range rows {
		id := classOf(row.ID)
		if len(classes) == 0 || classes[len(classes)-1].ID != id {
			classes = append(classes, classRows{ID: id, Title: classTitle(id), Note: classNote(id, agents)})
		}
		last := &classes[len(classes)-1]
		last.Rows = append(last.Rows, *row)
	}
	return classes
}

// classNote counts the verdicts on the cases of a class, of all agents, and the
// bad ones on closing handshakes.
func classNote(class string, agents []*agent) string {
	behavior, closing := tally{}, tally{}
	for _, a := range agents {
		for _, r := range a.results {
			if classOf(r.Case.ID) == class {
				behavior[r.Behavior]++
				if remarkable(r.BehaviorClose) {
					closing[r.BehaviorClose]++
				}
			}
		}
	}
	if len(closing) == 0 {
		return behavior.String()
	}
	return behavior.String() + "; closing handshake: " + closing.String()
}
