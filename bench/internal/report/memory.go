package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Merge adds the outcomes of old that r does not have, if old has the figures of
// the same machine, system and Go. It sorts scenarios and servers as the lists of
// their names do.
func (r *Results) Merge(old *Results, scenarios, servers []string) {
	if old.Machine.host() == r.Machine.host() {
		for _, s := range old.Scenarios {
			r.mergeScenario(s)
		}
		for _, p := range old.Servers {
			if !slices.ContainsFunc(r.Servers, func(q Peer) bool { return q.Name == p.Name }) {
				r.Servers = append(r.Servers, p)
			}
		}
	}
	slices.SortStableFunc(r.Scenarios, func(a, b Scenario) int {
		return cmp.Compare(slices.Index(scenarios, a.Name), slices.Index(scenarios, b.Name))
	})
	slices.SortStableFunc(r.Servers, func(a, b Peer) int {
		return cmp.Compare(slices.Index(servers, a.Name), slices.Index(servers, b.Name))
	})
}

func (r *Results) mergeScenario(old Scenario) {
	i := slices.IndexFunc(r.Scenarios, func(s Scenario) bool { return s.Name == old.Name })
	if i < 0 {
		r.Scenarios = append(r.Scenarios, old)
		return
	}
	s := &r.Scenarios[i]
	for _, o := range old.Outcomes {
		switch j := slices.IndexFunc(s.Outcomes, func(p Outcome) bool { return p.Peer == o.Peer }); {
		case j < 0:
			s.Outcomes = append(s.Outcomes, o)
		case !s.Outcomes[j].run():
			s.Outcomes[j] = o
		}
	}
}

// run reports whether the peer was run.
func (o *Outcome) run() bool { return len(o.Runs) > 0 || o.Failed != "" || o.Absent != "" }

// host is the part of m that figures must share to stand in one table.
func (m Machine) host() [4]string { return [4]string{m.CPU, m.System, m.Kernel, m.Go} }

// MemoryPage returns a page of the memory of idle connections: a row for each
// server, a column for each scenario with such connections. command has
// produced the results.
func (r *Results) MemoryPage(command string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Memory of idle connections with permessage-deflate\n\nWritten by `%s`. ", command)
	b.WriteString("The figures are the growth of the server's resident memory for each connection, measured as [the method](README.md#method) says. " +
		"With compression each connection has had 48 KiB of JSON echoed in 12 compressed texts, so that both windows are full, and is silent since.\n\n")
	m := &r.Machine
	fmt.Fprintf(&b, "%s, %d of them, %s; %s, %s, %s; fibersock at %s, %s.\n\n", plain(m.CPU), m.Processors, memory(float64(m.MemoryBytes)),
		plain(m.System), plain(m.Kernel), plain(m.Go), cmp.Or(r.Revision, "an unknown commit"), r.Date.UTC().Format("2 January 2006"))
	columns := r.idle()
	r.memoryTable(&b, columns)
	b.WriteByte('\n')
	for _, s := range columns {
		fmt.Fprintf(&b, "- **%s**: %s\n", plain(s.Title), plain(s.Detail))
	}
	b.WriteString("\nA dash is a server that does not support the configuration:\n\n")
	for _, note := range absences(columns) {
		fmt.Fprintf(&b, "- %s\n", plain(note))
	}
	return b.Bytes()
}

// idle returns the scenarios whose figure is the memory of a connection.
func (r *Results) idle() (list []*Scenario) {
	for i := range r.Scenarios {
		if s := &r.Scenarios[i]; s.Primary == ConnBytes {
			list = append(list, s)
		}
	}
	return list
}

func (r *Results) memoryTable(b *bytes.Buffer, columns []*Scenario) {
	titles, align := []string{"server", "version"}, []string{"---", "---"}
	for _, s := range columns {
		titles, align = append(titles, s.Title), append(align, "--:")
	}
	markdownRow(b, titles...)
	markdownRow(b, align...)
	for _, p := range r.Servers {
		row := []string{p.Name, p.Version}
		for _, s := range columns {
			row = append(row, s.memoryCell(p.Name))
		}
		markdownRow(b, row...)
	}
}

// memoryCell has the number of connections too if it is not that of the most.
func (s *Scenario) memoryCell(peer string) string {
	most := 0.0
	for _, o := range s.Outcomes {
		most = max(most, o.Median[Messages])
	}
	for _, o := range s.Outcomes {
		v, ok := o.Median[ConnBytes]
		switch {
		case o.Peer != peer:
			continue
		case o.Failed != "":
			return "failed"
		case !ok:
			return "–"
		case o.Median[Messages] < most:
			return fmt.Sprintf("%s (%s connections)", memory(v), number(o.Median[Messages]))
		}
		return memory(v)
	}
	return "not run"
}

// absences returns the reasons of failures and absences, each once, with the
// scenarios that have it.
func absences(columns []*Scenario) (notes []string) {
	where := make(map[string][]string)
	for _, s := range columns {
		for _, o := range s.Outcomes {
			if reason := cmp.Or(o.Failed, o.Absent); reason != "" {
				note := o.Peer + ": " + reason
				if where[note] == nil {
					notes = append(notes, note)
				}
				where[note] = append(where[note], s.Title)
			}
		}
	}
	for i, note := range notes {
		notes[i] = note + " (" + strings.Join(where[note], "; ") + ")"
	}
	return notes
}
