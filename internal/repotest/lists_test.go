package repotest

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var (
	//go:embed rules.txt
	rulesText string
	//go:embed exceptions.txt
	ruleExceptionsText string
	//go:embed threats.txt
	threatsText string
	//go:embed threat_exceptions.txt
	threatExceptionsText string
)

// An entry is one rule or one threat.
type entry struct {
	id      string // as tests cite it: 6455-5.4-b, T-A01
	section string // heading
	source  string // RFC 6455 5.4; of a threat the published vulnerability, or "class: " and its name
	role    string // C client, S server, B both; of a rule also W framing, - no role
	level   string // of a rule: MUST, MUST NOT, SHOULD, …; or two with ", " between
	text    string // one line
	reason  string // why no test cites it; "" if one has to
}

// binding reports whether the rule, or a part of it, is a MUST or a MUST NOT.
func (e entry) binding() bool { return strings.Contains(e.level, "MUST") }

// A list is rules.txt or threats.txt, with its exceptions.
type list struct {
	name                 string // of many entries
	file, exceptionsFile string
	text, exceptionsText string
	fields               []string // of a line
	roles, levels        []string // allowed values
}

var (
	ruleList = list{
		name: "rules", file: "rules.txt", exceptionsFile: "exceptions.txt", text: rulesText, exceptionsText: ruleExceptionsText,
		fields: []string{"id", "source", "role", "level", "rule"}, roles: []string{"C", "S", "B", "W", "-"},
		levels: []string{"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "HOUSE", "NOTE"},
	}
	threatList = list{
		name: "threats", file: "threats.txt", exceptionsFile: "threat_exceptions.txt", text: threatsText, exceptionsText: threatExceptionsText,
		fields: []string{"id", "origin", "role", "what must hold"}, roles: []string{"C", "S", "B"},
	}
)

// The lists have as many entries as the surveys that they were made from.
const (
	ruleCount   = 288
	threatCount = 129
)

// parse reads the list and its exceptions in the form that the heads of the
// files describe.
func (l list) parse() (entries []entry, err error) {
	seen := make(map[string]int) // the index in entries
	section := ""
	for n, line := range numbered(l.text) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		e, err := l.parseEntry(line)
		_, again := seen[e.id]
		switch {
		case err != nil:
		case again:
			err = fmt.Errorf("a second %s", e.id)
		case section == "":
			err = fmt.Errorf("%s precedes the first heading", e.id)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", l.file, n, err)
		}
		e.section = section
		seen[e.id] = len(entries)
		entries = append(entries, e)
	}
	reason := ""
	for n, line := range numbered(l.exceptionsText) {
		ids, indented := strings.CutPrefix(line, "\t")
		if !indented {
			if !strings.HasPrefix(line, "#") {
				reason = strings.TrimSpace(line)
			}
			continue
		}
		for _, id := range strings.Fields(ids) {
			i, known := seen[id]
			switch {
			case len(reason) < len("not built") || strings.HasPrefix(reason, "open"):
				err = fmt.Errorf("%q is no reason for %s", reason, id)
			case !known:
				err = fmt.Errorf("there is no %s", id)
			case entries[i].reason != "":
				err = fmt.Errorf("a second reason for %s", id)
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", l.exceptionsFile, n, err)
			}
			entries[i].reason = reason
		}
	}
	return entries, nil
}

func (l list) parseEntry(line string) (e entry, err error) {
	fields := strings.Split(line, " | ")
	if len(fields) != len(l.fields) {
		return e, fmt.Errorf("%d fields in %q, want %s", len(fields), line, strings.Join(l.fields, " | "))
	}
	for _, field := range fields {
		if field == "" || strings.TrimSpace(field) != field {
			return e, fmt.Errorf("an empty field or an extra space in %q", line)
		}
	}
	e = entry{id: fields[0], source: fields[1], role: fields[2], text: fields[len(fields)-1]}
	if cited := citedNumbers(e.id); len(cited) != 1 || cited[0] != e.id || strings.HasPrefix(e.id, threatPrefix) != (l.levels == nil) {
		return e, fmt.Errorf("%q is not a number of one of the %s", e.id, l.name)
	}
	if !slices.Contains(l.roles, e.role) {
		return e, fmt.Errorf("%s: unknown role %q", e.id, e.role)
	}
	if strings.Contains(e.source+e.text, "|") || strings.HasSuffix(e.text, ".") {
		return e, fmt.Errorf("%s: a table needs a text without | and full stop: %q", e.id, e.text)
	}
	if l.levels == nil {
		return e, nil
	}
	e.level = fields[3]
	for level := range strings.SplitSeq(e.level, ", ") {
		if !slices.Contains(l.levels, level) {
			return e, fmt.Errorf("%s: unknown level %q", e.id, level)
		}
	}
	return e, nil
}

// numbered yields the lines of text that are not blank, with their numbers.
func numbered(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(text) {
			number++
			line = strings.TrimRight(line, "\r\n")
			if line != "" && !yield(number, line) {
				return
			}
		}
	}
}

// entries returns the parsed list.
func (l list) entries(t *testing.T) []entry {
	t.Helper()
	entries, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestListsAreComplete(t *testing.T) {
	for _, c := range []struct {
		list  list
		count int
	}{{ruleList, ruleCount}, {threatList, threatCount}} {
		if n := len(c.list.entries(t)); n != c.count {
			t.Errorf("%d %s, want %d: change the count if an entry was added on purpose", n, c.list.name, c.count)
		}
	}
}

func TestMalformedListsAreRefused(t *testing.T) {
	const rule, threat = "6455-3-a | RFC 6455 3 | C | MUST | text", "T-A01 | class | B | text"
	for _, c := range []struct {
		name             string
		of               list
		text, exceptions string
		want             string
	}{
		{"a field too few", ruleList, "## 1\n6455-3-a | RFC 6455 3 | C | MUST", "", "4 fields"},
		{"an empty field", ruleList, "## 1\n6455-3-a | RFC 6455 3 | C | MUST | ", "", "empty field"},
		{"no number", ruleList, "## 1\nsomething | RFC 6455 3 | C | MUST | text", "", "not a number"},
		{"the number of a threat", ruleList, "## 1\nT-A01 | RFC 6455 3 | C | MUST | text", "", "not a number"},
		{"an unknown role", ruleList, "## 1\n6455-3-a | RFC 6455 3 | X | MUST | text", "", "role"},
		{"an unknown level", ruleList, "## 1\n6455-3-a | RFC 6455 3 | C | OUGHT | text", "", "level"},
		{"a full stop", ruleList, "## 1\n" + rule + ".", "", "full stop"},
		{"a number twice", ruleList, "## 1\n" + rule + "\n" + rule, "", "rules.txt:3: a second"},
		{"no heading", ruleList, rule, "", "heading"},
		{"no reason", ruleList, "## 1\n" + rule, "\t6455-3-a", `"" is no reason`},
		{"an open reason", ruleList, "## 1\n" + rule, "open: to be done\n\t6455-3-a", "is no reason"},
		{"a reason twice", ruleList, "## 1\n" + rule, "not built\n\t6455-3-a\nnot there\n\t6455-3-a", "exceptions.txt:4: a second"},
		{"an unknown exception", ruleList, "## 1\n" + rule, "not built\n\t6455-3-b", "there is no 6455-3-b"},
		{"a field too few for a threat", threatList, "## A\nT-A01 | class | B", "", "3 fields"},
		{"a field too many", threatList, "## A\n" + threat + " | more", "", "5 fields"},
		{"the number of a rule", threatList, "## A\n6455-3-a | class | B | text", "", "not a number"},
		{"an unknown role of a threat", threatList, "## A\nT-A01 | class | W | text", "", "role"},
		{"a threat twice", threatList, "## A\n" + threat + "\n" + threat, "", "threats.txt:3: a second"},
		{"no fault", threatList, "## A\n" + threat, "not built\n\tT-A01", ""},
	} {
		c.of.text, c.of.exceptionsText = c.text, c.exceptions
		if _, err := c.of.parse(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestLevelsThatBind(t *testing.T) {
	for level, want := range map[string]bool{
		"MUST": true, "MUST NOT": true, "MAY, MUST NOT": true, "MUST, MAY": true,
		"SHOULD": false, "SHOULD NOT": false, "MAY": false, "HOUSE": false, "NOTE": false,
	} {
		if got := (entry{level: level}).binding(); got != want {
			t.Errorf("%s: binding %t, want %t", level, got, want)
		}
	}
}
