package report

import (
	"fmt"

	"github.com/fibersock/fibersock/wstest/conform"
)

// difference describes the difference of got from want, after "event n: "; ""
// if they are equal. Of truncated payloads only the octets that both have are
// compared.
func difference(want, got conform.Event) string {
	switch {
	case eventName(want) != eventName(got):
		return fmt.Sprintf("expected a %s, came a %s", eventName(want), eventName(got))
	case sizeOf(want) != sizeOf(got):
		return fmt.Sprintf("expected %s octets, came %s", grouped(sizeOf(want)), grouped(sizeOf(got)))
	}
	n := min(len(want.Payload), len(got.Payload))
	for i := range n {
		if want.Payload[i] != got.Payload[i] {
			return fmt.Sprintf("at offset %s expected octet 0x%02x, came 0x%02x", grouped(i), want.Payload[i], got.Payload[i])
		}
	}
	return ""
}

// sizeOf returns the length of the whole payload.
func sizeOf(e conform.Event) int {
	return max(e.Size, len(e.Payload))
}

// eventName returns the name of the kind of e.
func eventName(e conform.Event) string {
	switch e.Kind {
	case conform.EventMessage:
		if e.Binary {
			return "binary message"
		}
		return "text message"
	case conform.EventPong:
		return "Pong"
	case conform.EventTimeout:
		return "timeout " + e.Tag
	}
	return string(e.Kind)
}

// firstDifference returns the index of the first event of got that differs from
// want, and the difference; -1 if all are equal.
func firstDifference(want, got []conform.Event) (int, string) {
	for i := range min(len(want), len(got)) {
		if how := difference(want[i], got[i]); how != "" {
			return i, how
		}
	}
	switch {
	case len(want) > len(got):
		return len(got), fmt.Sprintf("expected a %s, came nothing more", eventName(want[len(got)]))
	case len(want) < len(got):
		return len(want), fmt.Sprintf("expected nothing more, came a %s", eventName(got[len(want)]))
	}
	return -1, ""
}

// eventTable shows the expected events beside the received ones.
type eventTable struct {
	Columns  []eventColumn // the alternatives, and last the received events
	Rows     []eventRow
	Judged   bool   // events are expected
	Width    int    // the number of columns, with that of the event number
	Sentence string // the first difference, or the alternative that matches
}

type eventColumn struct {
	Title   string
	Verdict *badge // of an alternative
}

type eventRow struct {
	Number int // from 1; 0 for a row of omitted events
	Cells  []eventCell
	Gap    int // the number of omitted events
}

type eventCell struct {
	Column  string // its column's title, for a layout without a head
	Name    string // "" after the end of the list
	End     string // the text after the end of the list
	Payload payload
	Differs bool
}

// The numbers of rows of events that are shown at the start and around the
// first difference.
const (
	eventHead   = 12
	eventAround = 4
)

// newEventTable lays out the alternatives of a case and the received events,
// and marks the first difference to the nearest alternative.
func newEventTable(alternatives []conform.Alternative, received []conform.Event) eventTable {
	t := eventTable{Judged: len(alternatives) > 0}
	rows := len(received)
	for _, a := range alternatives {
		t.Columns = append(t.Columns, eventColumn{Title: "Expected", Verdict: newBadge(a.Verdict)})
		rows = max(rows, len(a.Events))
	}
	t.Columns = append(t.Columns, eventColumn{Title: "Came"})

	t.Width = 1 + len(t.Columns)

	nearest, at, how := nearestAlternative(alternatives, received)
	switch {
	case at >= 0:
		t.Sentence = fmt.Sprintf("The first difference is at event %d: %s.", at+1, how)
	case t.Judged:
		t.Sentence = fmt.Sprintf("What came is what is expected for %s.", alternatives[nearest].Verdict)
	}
	gap := 0
	for n := range rows {
		if n >= eventHead && (at < 0 || n < at-eventAround || n > at+eventAround) {
			gap++
			continue
		}
		t.addGap(&gap)
		t.Rows = append(t.Rows, newEventRow(n, alternatives, received, nearest, n == at))
	}
	t.addGap(&gap)
	return t
}

// nearestAlternative returns the index of the alternative with the latest first
// difference to received, and that difference; at is -1 if received is equal to
// it.
func nearestAlternative(alternatives []conform.Alternative, received []conform.Event) (nearest, at int, how string) {
	at = -1
	for i, a := range alternatives {
		n, text := firstDifference(a.Events, received)
		if n == -1 {
			return i, -1, ""
		}
		if n > at {
			nearest, at, how = i, n, text
		}
	}
	return nearest, at, how
}

func (t *eventTable) addGap(gap *int) {
	if *gap > 0 {
		t.Rows = append(t.Rows, eventRow{Gap: *gap})
		*gap = 0
	}
}

// newEventRow returns the n-th event of each list. If differs is set, those of
// the nearest alternative and the received ones are marked.
func newEventRow(n int, alternatives []conform.Alternative, received []conform.Event, nearest int, differs bool) eventRow {
	row := eventRow{Number: n + 1}
	for i, a := range alternatives {
		row.Cells = append(row.Cells, newEventCell("expected for "+string(a.Verdict), a.Events, n, differs && i == nearest))
	}
	row.Cells = append(row.Cells, newEventCell("came", received, n, differs))
	return row
}

func newEventCell(column string, events []conform.Event, n int, differs bool) eventCell {
	cell := eventCell{Column: column, Differs: differs}
	switch {
	case n < len(events):
		e := events[n]
		cell.Name = eventName(e)
		if e.Kind != conform.EventTimeout {
			cell.Payload = newPayload(e.Payload, sizeOf(e), maxEvent, narrowHex)
		}
	case len(events) == 0 && n == 0:
		cell.End = "nothing"
	case n == len(events):
		cell.End = "nothing more"
	}
	return cell
}
