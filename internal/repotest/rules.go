// Package rules is the list of what this module is held to: every requirement
// of the RFCs on an endpoint, and every known way to break one, with the numbers
// that tests cite. A test of this package reads which tests cite what, fails if
// something is cited by none and has no reason in exceptions.txt or
// threat_exceptions.txt, and keeps docs/conformance.md and
// docs/security-coverage.md current:
//
//	go generate ./internal/repotest
//
// A test cites a rule by its whole number in a comment or a string,
// 6455-5.4-b, and several of one section as 6455-7.4-a, -b, -c or
// 6455-7.4-a,b,c. It cites a threat as T-A01.
package repotest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:generate go test . -count=1 -run PageIsCurrent -update

//go:embed rules.txt
var rulesText string

// Rule is one requirement.
type Rule struct {
	ID      string // as tests cite it: 6455-5.4-b
	Section string // heading of the list's section that it stands in
	Source  string // where it is said: RFC 6455 5.4
	Role    Role
	Level   string // MUST, MUST NOT, SHOULD, SHOULD NOT, MAY, HOUSE, NOTE; or two with ", " between
	Text    string // in one line
}

// Binding reports whether the rule, or a part of it, is a MUST or a MUST NOT.
func (r Rule) Binding() bool {
	return strings.Contains(r.Level, "MUST")
}

// Role says who has to keep a rule.
type Role string

// The roles.
const (
	Client  Role = "C"
	Server  Role = "S"
	Both    Role = "B"
	Framing Role = "W" // of frames, whoever sends or receives them
	Nobody  Role = "-"
)

// levels are the words that a Rule.Level is made of.
var levels = map[string]bool{
	"MUST": true, "MUST NOT": true, "SHOULD": true, "SHOULD NOT": true, "MAY": true,
	"HOUSE": true, // the source leaves a choice, which is pinned here
	"NOTE":  true, // good to know; binds nobody
}

// All returns the rules in the order of the list.
func All() ([]Rule, error) {
	return parseRules(rulesText)
}

// parseRules reads a list in the form that the head of rules.txt describes.
func parseRules(text string) ([]Rule, error) {
	return parseList("rules.txt", text, func(section, line string) (Rule, string, error) {
		rule, err := parseRule(line)
		rule.Section = section
		return rule, rule.ID, err
	})
}

// parseList reads a list of entries, each with a number of its own, under
// headings. file is for errors; parse reads an entry and returns its number too.
func parseList[T any](file, text string, parse func(section, line string) (entry T, id string, err error)) ([]T, error) {
	var entries []T
	seen := make(map[string]bool)
	section := ""
	for number, line := range numbered(text) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = heading
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		entry, id, err := parse(section, line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		case seen[id]:
			return nil, fmt.Errorf("%s:%d: a second %s", file, number, id)
		case section == "":
			return nil, fmt.Errorf("%s:%d: %s stands before the first heading", file, number, id)
		}
		seen[id] = true
		entries = append(entries, entry)
	}
	return entries, nil
}

// cutEntry cuts a line into the fields that the form of its list has.
func cutEntry(line, form string) ([]string, error) {
	fields := strings.Split(line, " | ")
	if len(fields) != strings.Count(form, " | ")+1 {
		return nil, fmt.Errorf("%d fields in %q, want %s", len(fields), line, form)
	}
	for _, field := range fields {
		if field == "" || strings.TrimSpace(field) != field {
			return nil, fmt.Errorf("an empty field or a space too many in %q", line)
		}
	}
	return fields, nil
}

func parseRule(line string) (Rule, error) {
	fields, err := cutEntry(line, "id | source | role | level | rule")
	if err != nil {
		return Rule{}, err
	}
	rule := Rule{ID: fields[0], Source: fields[1], Role: Role(fields[2]), Level: fields[3], Text: fields[4]}
	if full := numberRE.FindString(rule.ID); full != rule.ID || strings.HasPrefix(full, threatPrefix) {
		return Rule{}, fmt.Errorf("%q is no number of a rule", rule.ID)
	}
	switch rule.Role {
	case Client, Server, Both, Framing, Nobody:
	default:
		return Rule{}, fmt.Errorf("%s: unknown role %q", rule.ID, rule.Role)
	}
	for level := range strings.SplitSeq(rule.Level, ", ") {
		if !levels[level] {
			return Rule{}, fmt.Errorf("%s: unknown level %q", rule.ID, level)
		}
	}
	return rule, nil
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
