package sockets

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

func textMessage(s string) client.Message {
	return client.Message{Opcode: wire.Text, Payload: []byte(s)}
}

func texts(list []client.Message) []string {
	var s []string
	for _, m := range list {
		s = append(s, m.Text())
	}
	return s
}

func TestHistoryIsBoundedByCountAndBytes(t *testing.T) {
	for _, c := range []struct {
		name               string
		maxCount, maxBytes int
		add                string // messages, separated by spaces
		want               string // the messages in the history
	}{
		{"room for all", 3, 100, "a b c", "a b c"},
		{"one more than there is room for", 3, 100, "a b c d", "b c d"},
		{"room for one", 1, 100, "a b c", "c"},
		{"as many bytes as there is room for", 100, 6, "aa bb cc", "aa bb cc"},
		{"one byte more", 100, 5, "aa bb cc", "bb cc"},
		{"several make room for a large one", 100, 5, "a b c dddd", "c dddd"},
		{"one as large as the room", 100, 5, "a bbbbb", "bbbbb"},
		{"one larger than the room stays until the next", 100, 5, "a bbbbbbbb", "bbbbbbbb"},
		{"the next after one larger than the room", 100, 5, "a bbbbbbbb c", "c"},
		{"no limit of bytes", 3, -1, "a bbbbbbbbbbbbbbbb c d", "bbbbbbbbbbbbbbbb c d"},
		{"both limits", 2, 3, "a b cc dd", "dd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(c.maxCount, c.maxBytes)
			added := strings.Fields(c.add)
			for _, s := range added {
				h.add(textMessage(s))
			}
			want := strings.Fields(c.want)
			check.Slices(t, texts(h.newest(-1)), want, "kept")
			if h.bytes != len(strings.Join(want, "")) {
				t.Errorf("counts %d bytes for %q", h.bytes, want)
			}
			if h.end() != uint64(len(added)) || h.first != uint64(len(added)-len(want)) {
				t.Errorf("numbers %d to %d after %d messages of which %d are kept", h.first, h.end(), len(added), len(want))
			}
		})
	}
}

func TestHistoryReleasesDroppedMessages(t *testing.T) {
	h := newHistory(2, math.MaxInt)
	array := make([]client.Message, 4)
	h.kept = array[:0]
	h.add(textMessage("a"))
	h.add(textMessage("b"))
	h.dropBefore(1)
	if array[0].Payload != nil || array[1].Text() != "b" {
		t.Errorf("the array holds %q after the first was dropped, want only b", texts(array))
	}
	h.dropBefore(100)
	if len(h.kept) != 0 || h.bytes != 0 || h.first != 2 {
		t.Errorf("%d messages, %d bytes, first number %d after all were dropped", len(h.kept), h.bytes, h.first)
	}
}

func TestNewestOfTheHistory(t *testing.T) {
	h := newHistory(3, -1)
	if got := h.newest(-1); len(got) != 0 {
		t.Errorf("%q from an empty history", texts(got))
	}
	for _, s := range []string{"a", "b", "c", "d"} {
		h.add(textMessage(s))
	}
	for limit, want := range map[int]string{-1: "b c d", 0: "", 1: "d", 2: "c d", 3: "b c d", 4: "b c d"} {
		if got := texts(h.newest(limit)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

func TestCursorSkipsAndCountsDroppedMessages(t *testing.T) {
	h := newHistory(2, -1)
	var fast, slow cursor
	take := func(c *cursor, want string) {
		t.Helper()
		m, ok := h.take(c)
		if ok != (want != "") || m.Text() != want {
			t.Errorf("took %q, %t, want %q", m.Text(), ok, want)
		}
	}
	take(&fast, "")
	for _, s := range []string{"a", "b", "c", "d", "e"} {
		h.add(textMessage(s))
		take(&fast, s)
		take(&fast, "")
	}
	if got := h.missed(slow); got != 3 {
		t.Errorf("%d missed before the slow reader reads, want 3", got)
	}
	take(&slow, "d")
	take(&slow, "e")
	take(&slow, "")
	if h.missed(fast) != 0 || h.missed(slow) != 3 {
		t.Errorf("missed %d and %d, want 0 and 3", h.missed(fast), h.missed(slow))
	}
}

func TestMessageTakenBeforeCloseIsNotHandledAfterIt(t *testing.T) {
	s := &socket{cancel: func() {}, handler: func(client.Message) { t.Error("the handler is called after close") }, history: newHistory(1, 1)}
	s.history.add(client.Message{})
	m, err := s.next(&s.handled, -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(t.Context(), wire.NormalClosure); err != nil {
		t.Fatal(err)
	}
	if s.call(m) {
		t.Error("the handler's goroutine goes on after close")
	}
}
