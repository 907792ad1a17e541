package conform

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

func TestOffers(t *testing.T) {
	both9, noTakeover, plain := demand{true, 9}, demand{noContextTakeover: true}, demand{}
	const base = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	for _, c := range []struct {
		demands []demand
		want    string
	}{
		{[]demand{plain}, base},
		{[]demand{{windowBits: 9}}, base + "; server_max_window_bits=9"},
		{[]demand{both9, noTakeover, plain}, base + "; server_no_context_takeover; server_max_window_bits=9, " + base + "; server_no_context_takeover, " + base},
	} {
		check.Equal(t, (&compression{c.demands}).offer(), c.want, "")
	}
}

// RFC 7692, Section 7.1.
func TestAnswersOfServers(t *testing.T) {
	c := &compression{[]demand{{}}}
	for _, line := range []string{
		"permessage-deflate",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; server_max_window_bits=9; client_max_window_bits=\"10\"",
		"Permessage-Deflate ; client_max_window_bits = 15",
	} {
		if a, err := c.agree([]string{line}); err != nil || a == nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, lines := range [][]string{
		{"permessage-deflate", "permessage-deflate"},
		{"permessage-deflate, permessage-deflate"},
		{"permessage-bzip2"},
		{"x"},
		{"permessage-deflate; server_max_window_bits"},
		{"permessage-deflate; client_max_window_bits"},
		{"permessage-deflate; client_max_window_bits=7"},
		{"permessage-deflate; client_max_window_bits=16"},
		{"permessage-deflate; client_max_window_bits=09"},
		{"permessage-deflate; server_no_context_takeover=1"},
		{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"},
		{"permessage-deflate; unknown"},
		{"permessage-deflate;"},
		{"permessage deflate"},
		{"permessage-deflate; a=b=c"},
	} {
		if _, err := c.agree(lines); err == nil {
			t.Errorf("%q is accepted", lines)
		}
	}
	for _, lines := range [][]string{nil, {""}, {" , "}} {
		for _, offer := range []*compression{c, nil} {
			if a, err := offer.agree(lines); a != nil || err != nil {
				t.Errorf("an answer that accepts nothing, %q: %v, %v", lines, a, err)
			}
		}
	}
	if _, err := (*compression)(nil).agree([]string{"permessage-deflate"}); err == nil {
		t.Error("an answer is accepted though nothing was offered")
	}
}

// An offer that was accepted three times, as by libsoup, and an empty field were said to be an
// extension that was not offered.
func TestReasonsForWrongAnswersOfServers(t *testing.T) {
	c := &compression{[]demand{{true, 9}, {noContextTakeover: true}, {}}}
	for line, want := range map[string]string{
		"permessage-deflate, permessage-deflate; server_no_context_takeover, permessage-deflate": "permessage-deflate was accepted 3 times",
		"permessage-deflate, x-echo": `the extension "x-echo" was accepted, and not offered`,
	} {
		if _, err := c.agree([]string{line}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}

// RFC 7692, 7.1.1.1 and 7.1.2.1: tornado and Mojolicious accepted an offer with
// server_no_context_takeover without repeating it, and nothing was said.
func TestOffersAcceptedWithoutTheirParametersAreFlagged(t *testing.T) {
	plain, noTakeover, bits9, bits15 := demand{}, demand{noContextTakeover: true}, demand{windowBits: 9}, demand{windowBits: 15}
	for _, c := range []struct {
		demands []demand
		answer  string
		flags   []string // parts of them
	}{
		{[]demand{plain}, "", nil},
		{[]demand{plain}, "; server_no_context_takeover; server_max_window_bits=9", nil},
		{[]demand{noTakeover}, "; server_no_context_takeover", nil},
		{[]demand{noTakeover}, "; client_no_context_takeover", []string{"7.1.1.1"}},
		{[]demand{bits9}, "; server_max_window_bits=9", nil},
		{[]demand{bits9}, "; server_max_window_bits=8", nil},
		{[]demand{bits9}, "", []string{"its answer is without it (RFC 7692, 7.1.2.1)"}},
		{[]demand{bits9}, "; server_max_window_bits=12", []string{"its answer has 12 (RFC 7692, 7.1.2.1)"}},
		{[]demand{bits15}, "", []string{"7.1.2.1"}},
		{[]demand{{true, 9}}, "", []string{"7.1.1.1", "7.1.2.1"}},
		{[]demand{{true, 9}, noTakeover, plain}, "", nil}, // the last offer
		{[]demand{{true, 9}, noTakeover}, "; server_no_context_takeover", nil},
	} {
		a, err := (&compression{c.demands}).agree([]string{"permessage-deflate" + c.answer})
		if err != nil || len(a.flags) != len(c.flags) {
			t.Errorf("%v, answer %q: %v, %v", c.demands, c.answer, err, a)
			continue
		}
		for i, part := range c.flags {
			if !strings.Contains(a.flags[i], part) {
				t.Errorf("%v, answer %q: %q", c.demands, c.answer, a.flags)
			}
		}
	}
}

func TestAnswersToClients(t *testing.T) {
	plain, noTakeover, bits9, both9, bits15 := demand{}, demand{noContextTakeover: true}, demand{windowBits: 9}, demand{true, 9}, demand{windowBits: 15}
	const deflate = "permessage-deflate"
	for _, c := range []struct {
		name    string
		demands []demand
		lines   []string
		want    string // "": none
	}{
		{"nothing offered", []demand{plain}, nil, ""},
		{"another offered", []demand{plain}, []string{"x-webkit-deflate-frame"}, ""},
		{"plain", []demand{plain}, []string{deflate}, deflate},
		{"the client's demands come back", []demand{plain}, []string{deflate + "; server_max_window_bits=10; server_no_context_takeover"}, deflate + "; server_no_context_takeover; server_max_window_bits=10"},
		{"no takeover need not be offered", []demand{noTakeover}, []string{deflate}, deflate + "; client_no_context_takeover"},
		{"a window must be", []demand{bits9}, []string{deflate}, ""},
		{"a window without value is", []demand{bits9}, []string{deflate + "; client_max_window_bits"}, deflate + "; client_max_window_bits=9"},
		{"15 too must be", []demand{bits15}, []string{deflate}, ""},
		{"a smaller window was offered", []demand{bits15}, []string{deflate + "; client_max_window_bits=10"}, ""},
		{"the first that is allowed", []demand{both9, noTakeover, plain}, []string{deflate}, deflate + "; client_no_context_takeover"},
		{"the best if allowed", []demand{both9, noTakeover, plain}, []string{deflate + "; client_max_window_bits"}, deflate + "; client_no_context_takeover; client_max_window_bits=9"},
		{"the best of several offers", []demand{bits9}, []string{"other, " + deflate, deflate + "; client_max_window_bits"}, deflate + "; client_max_window_bits=9"},
		{"an offer with an unknown parameter is declined", []demand{plain}, []string{deflate + "; unknown, " + deflate + "; server_no_context_takeover"}, deflate + "; server_no_context_takeover"},
		{"an offer with a bad window is declined", []demand{plain}, []string{deflate + "; server_max_window_bits=7"}, ""},
		{"an offer with an empty server window is declined", []demand{plain}, []string{deflate + "; server_max_window_bits"}, ""},
	} {
		a, err := (&compression{c.demands}).answer(c.lines)
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case a == nil && c.want != "":
			t.Errorf("%s: no agreement, want %q", c.name, c.want)
		case a != nil && a.header != c.want:
			t.Errorf("%s: got %q, want %q", c.name, a.header, c.want)
		}
	}
	if _, err := (&compression{[]demand{plain}}).answer([]string{"permessage-deflate; ="}); err == nil {
		t.Error("a header that is none is accepted")
	}
}
