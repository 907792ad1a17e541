package report

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest/conform"
)

func TestFirstDifferenceIsFound(t *testing.T) {
	pong := conform.Event{Kind: conform.EventPong, Payload: []byte("x"), Size: 1}
	binary := conform.Event{Kind: conform.EventMessage, Binary: true, Payload: []byte("a"), Size: 1}
	big := conform.Event{Kind: conform.EventMessage, Payload: []byte("aaaa"), Size: 65536}
	bigger := conform.Event{Kind: conform.EventMessage, Payload: []byte("aaaa"), Size: 65537}
	cutShorter := conform.Event{Kind: conform.EventMessage, Payload: []byte("aa"), Size: 65536}
	uncounted := conform.Event{Kind: conform.EventMessage, Payload: []byte("a")}
	timeout := func(tag string) conform.Event { return conform.Event{Kind: conform.EventTimeout, Tag: tag} }
	type list = []conform.Event
	for _, c := range []struct {
		name      string
		want, got list
		at        int
		how       string
	}{
		{"nothing", nil, nil, -1, ""},
		{"the same", list{pong, textEvent("a")}, list{pong, textEvent("a")}, -1, ""},
		{"the same, kept in part", list{big}, list{cutShorter}, -1, ""},
		{"the same, without a size", list{uncounted}, list{textEvent("a")}, -1, ""},
		{"one too few", list{pong, textEvent("a")}, list{pong}, 1, "expected a text message, came nothing more"},
		{"one too many", list{pong}, list{pong, binary}, 1, "expected nothing more, came a binary message"},
		{"another opcode", list{textEvent("a")}, list{binary}, 0, "expected a text message, came a binary message"},
		{"another kind", list{textEvent("a")}, list{pong}, 0, "expected a text message, came a Pong"},
		{"another length", list{big}, list{bigger}, 0, "expected 65,536 octets, came 65,537"},
		{"another octet", list{textEvent("abc")}, list{textEvent("abd")}, 0, "at offset 2 expected octet 0x63, came 0x64"},
		{"another timeout", list{timeout("A")}, list{timeout("B")}, 0, "expected a timeout A, came a timeout B"},
	} {
		if at, how := firstDifference(c.want, c.got); at != c.at || how != c.how {
			t.Errorf("%s: got %d, %q, want %d, %q", c.name, at, how, c.at, c.how)
		}
	}
}

func TestNearestAlternativeIsComparedWith(t *testing.T) {
	alternatives := []conform.Alternative{
		{Verdict: conform.OK, Events: []conform.Event{textEvent("a"), textEvent("b")}},
		{Verdict: conform.NonStrict, Events: []conform.Event{textEvent("a")}},
		{Verdict: conform.NonStrict},
	}
	for _, c := range []struct {
		name     string
		received []conform.Event
		sentence string
		marked   []int // the columns with a mark in the row of the difference
	}{
		{"the first", []conform.Event{textEvent("a"), textEvent("b")}, "What came is what is expected for OK.", nil},
		{"the last", nil, "What came is what is expected for NON-STRICT.", nil},
		{"none", []conform.Event{textEvent("a"), textEvent("c")}, "The first difference is at event 2: at offset 0 expected octet 0x62, came 0x63.", []int{0, 3}},
	} {
		table := newEventTable(alternatives, c.received)
		check.Equal(t, table.Sentence, c.sentence, "%s", c.name)
		var marked []int
		for _, row := range table.Rows {
			for i, cell := range row.Cells {
				if cell.Differs {
					marked = append(marked, i)
				}
			}
		}
		if len(marked) != len(c.marked) || len(marked) == 2 && (marked[0] != c.marked[0] || marked[1] != c.marked[1]) {
			t.Errorf("%s: marked are the columns %v, want %v", c.name, marked, c.marked)
		}
	}
}

func TestLongListOfEventsIsShownWhereItMatters(t *testing.T) {
	var want, got []conform.Event
	for range 100 {
		want, got = append(want, textEvent("a")), append(got, textEvent("a"))
	}
	got[50] = textEvent("b")
	table := newEventTable([]conform.Alternative{{Verdict: conform.OK, Events: want}}, got)
	shown, gaps, marked := 0, 0, 0
	for _, row := range table.Rows {
		if row.Gap > 0 {
			gaps += row.Gap
			continue
		}
		shown++
		if row.Cells[0].Differs {
			marked = row.Number
		}
	}
	if shown != eventHead+2*eventAround+1 || shown+gaps != 100 || marked != 51 {
		t.Errorf("got %d events shown, %d left out, number %d marked", shown, gaps, marked)
	}
}

func TestPayloadIsTextIfItPrintsAndHexIfNot(t *testing.T) {
	for _, c := range []struct {
		name      string
		payload   string
		size      int
		text, hex string
		cut       string
	}{
		{"nothing", "", 0, "", "", ""},
		{"text", "κόσμε\n", 11, "κόσμε\n", "", ""},
		{"text kept in part", "κόσ\xce", 65536, "κόσ", "", "the first 7 of 65,536 octets"},
		{"longer than is shown", strings.Repeat("a", 100), 100, strings.Repeat("a", 64), "", "the first 64 of 100 octets"},
		{"nothing kept", "", 9, "", "", "9 octets, none of them kept"},
		{"control characters", "a\x00\x1b[", 4, "", "0000 61 00 1b 5b              a..[", ""},
		{"override of the direction", "\u202e", 3, "", "0000 e2 80 ae                 ...", ""},
		{"a character that says nothing", "\ufffd", 3, "", "0000 ef bf bd                 ...", ""},
		{"two lines", "\x00abcdefghi", 10, "", "0000 00 61 62 63 64 65 66 67  .abcdefg|0008 68 69                    hi", ""},
	} {
		got := newPayload([]byte(c.payload), c.size, 64, narrowHex)
		var hex []string
		for _, l := range got.Hex {
			hex = append(hex, l.Offset+" "+l.Octets+" "+l.Text)
		}
		want := strings.Split(c.hex, "|")
		for i := range want {
			want[i] = strings.Join(strings.Fields(want[i]), " ")
		}
		for i := range hex {
			if len(hex[i]) < len("0000 ")+3*narrowHex-1 {
				t.Errorf("%s: line %q is too short to be aligned", c.name, hex[i])
			}
			hex[i] = strings.Join(strings.Fields(hex[i]), " ")
		}
		if got.Text != c.text || strings.Join(hex, "|") != strings.Join(want, "|") || got.Cut != c.cut || got.Size != c.size {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}
