package conform

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// The numbers of the suite, version 25.10.1.
func TestThereAre517Cases(t *testing.T) {
	want := map[string]int{"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1, "12": 90, "13": 126}
	got := make(map[string]int)
	seen := make(map[string]bool)
	for i, c := range Cases() {
		got[c.Class()]++
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		check.Equal(t, c.Index, i+1, "%s has the index", c.ID)
		if c.Description == "" || c.Expectation == "" {
			t.Errorf("%s is not described", c.ID)
		}
		if (c.Expected == nil) != (c.play != nil) || (c.script == nil) != (c.play != nil) {
			t.Errorf("%s has %d lists of events, a script of %d, and judges by itself: %v", c.ID, len(c.Expected), len(c.script), c.play != nil)
		}
	}
	if !maps.Equal(got, want) || len(Cases()) != 517 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each class's number of subcases, which a wrong loop would change.
func TestGroupsOfCases(t *testing.T) {
	got := make(map[string]int)
	for _, c := range Cases() {
		group := c.ID[:strings.LastIndexByte(c.ID, '.')]
		got[group]++
	}
	for group, want := range map[string]int{
		"1.1": 8, "1.2": 8, "2": 11, "3": 7, "4.1": 5, "4.2": 5, "5": 20,
		"6.1": 3, "6.2": 4, "6.3": 2, "6.4": 4, "6.5": 5, "6.6": 11, "6.7": 4, "6.8": 2, "6.9": 4, "6.10": 3, "6.11": 5, "6.12": 8, "6.13": 5,
		"6.14": 10, "6.15": 1, "6.16": 3, "6.17": 5, "6.18": 5, "6.19": 5, "6.20": 7, "6.21": 8, "6.22": 34, "6.23": 7,
		"7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2,
		"9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6, "10.1": 1,
		"12.1": 18, "12.5": 18, "13.1": 18, "13.7": 18,
	} {
		check.Equal(t, got[group], want, "%s", group)
	}
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		only, except []string
		want         int
		first        string
	}{
		{nil, nil, 517, "1.1.1"},
		{[]string{"*"}, nil, 517, "1.1.1"},
		{[]string{"1.*"}, nil, 16, "1.1.1"}, // not 10.*, 12.* and 13.*
		{[]string{"*"}, []string{"9.*", "12.*", "13.*"}, 247, "1.1.1"},
		{[]string{"6.4.*", "10.1.1"}, nil, 5, "6.4.1"},
		{[]string{"10.1.1", "6.4.*"}, []string{"6.4.1"}, 4, "6.4.2"},
		{[]string{"*.1"}, []string{"*.*.*"}, 3, "2.1"},
	} {
		got, err := Select(c.only, c.except)
		if err != nil || len(got) != c.want || got[0].ID != c.first {
			t.Errorf("Select(%q, %q) = %d cases, %v", c.only, c.except, len(got), err)
		}
	}
	for _, patterns := range [][]string{{"8.*"}, {"1.*", "1.1"}, {""}, {"1.1.1 "}, {"(1)*"}} {
		if _, err := Select(patterns, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", patterns[len(patterns)-1])) {
			t.Errorf("Select(%q): %v", patterns, err)
		}
	}
}

// An independent decoder agrees with the table about each sequence.
func TestUTF8SequencesAreWhatTheTableSays(t *testing.T) {
	n := 0
	for line := range strings.Lines(utf8Sequences) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.Count(fields[0], ".") != 2 {
			continue
		}
		n++
		var p []byte
		if _, err := fmt.Sscanf(fields[2], "%x", &p); err != nil {
			t.Fatal(fields, err)
		}
		want := "ok"
		if at, cut := firstImpossible(p); at >= 0 && cut {
			want = fmt.Sprintf("cut@%d", at)
		} else if at >= 0 {
			want = fmt.Sprintf("bad@%d", at)
		}
		if fields[1] != want {
			t.Errorf("%s: %s, but it is %s: %x", fields[0], fields[1], want, p)
		}
	}
	if n != 132 {
		t.Errorf("%d sequences", n)
	}
}

// firstImpossible returns the first octet that no text has there, -1 if there is none; cut is that all octets are
// possible, but the last code point is not whole.
func firstImpossible(p []byte) (at int, cut bool) {
	possible := func(prefix []byte) bool { // whether some text begins with prefix
		for len(prefix) > 0 {
			n := 0
			for _, r := range string(prefix) {
				if r == '\ufffd' && !strings.HasPrefix(string(prefix), "\ufffd") {
					break
				}
				n = len(string(r))
				break
			}
			if n == 0 {
				return beginsRune(prefix)
			}
			prefix = prefix[n:]
		}
		return true
	}
	for i := range p {
		if !possible(p[:i+1]) {
			return i, false
		}
	}
	if !strings.Contains(string(p), "\ufffd") && strings.ToValidUTF8(string(p), "") != string(p) {
		return len(p), true
	}
	return -1, false
}

// beginsRune reports whether p is the beginning of a code point, tried with all of them.
func beginsRune(p []byte) bool {
	if len(p) >= 4 {
		return false
	}
	return slices.Contains(runePrefixes[len(p)], string(p))
}

var runePrefixes = func() (all [4][]string) {
	seen := make(map[string]bool)
	for r := rune(0); r <= 0x10ffff; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		s := string(r)
		for n := 1; n < len(s); n++ {
			if !seen[s[:n]] {
				seen[s[:n]] = true
				all[n] = append(all[n], s[:n])
			}
		}
	}
	return all
}()

func TestEveryCaseNamesTheSectionItIsAbout(t *testing.T) {
	used := map[string]bool{}
	for _, c := range Cases() {
		if !strings.HasPrefix(c.Section, "RFC ") {
			t.Errorf("%s: %q", c.ID, c.Section)
		}
		used[c.Section] = true
	}
	for prefix, section := range sections {
		if !used[section] {
			t.Errorf("no case has the section %q, of %q", section, prefix)
		}
	}
	for id, want := range map[string]string{"5.1": "RFC 6455, 5.5", "5.10": "RFC 6455, 5.4", "2.10": "RFC 6455, 5.5.2 and 5.5.3", "6.1.1": "RFC 6455, 5.4 and 5.6", "6.10.1": "RFC 6455, 8.1, and RFC 3629", "13.2.18": "RFC 7692, 7.1.1"} {
		check.Equal(t, sectionOf(id), want, "%s", id)
	}
}
