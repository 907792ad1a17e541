// Package rules is the list of what this module is held to: every requirement
// of the RFCs on an endpoint, with the number that tests cite. A test of this
// package reads which tests cite which rule, fails if a rule is cited by none
// and has no reason in exceptions.txt, and keeps docs/conformance.md current:
//
//	go generate ./internal/rules
//
// A test cites a rule by its whole number in a comment or a string,
// 6455-5.4-b, and several of one section as 6455-7.4-a, -b, -c or
// 6455-7.4-a,b,c.
package rules

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:generate go test . -count=1 -run TestConformancePageIsCurrent -update

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
	var rules []Rule
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
		rule, err := parseRule(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("rules.txt:%d: %w", number, err)
		case seen[rule.ID]:
			return nil, fmt.Errorf("rules.txt:%d: a second rule %s", number, rule.ID)
		case section == "":
			return nil, fmt.Errorf("rules.txt:%d: %s stands before the first heading", number, rule.ID)
		}
		seen[rule.ID] = true
		rule.Section = section
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseRule(line string) (Rule, error) {
	fields := strings.Split(line, " | ")
	if len(fields) != 5 {
		return Rule{}, fmt.Errorf("%d fields in %q, want id | source | role | level | rule", len(fields), line)
	}
	rule := Rule{ID: fields[0], Source: fields[1], Role: Role(fields[2]), Level: fields[3], Text: fields[4]}
	for _, field := range fields {
		if field == "" || strings.TrimSpace(field) != field {
			return Rule{}, fmt.Errorf("an empty field or a space too many in %q", line)
		}
	}
	if full := numberRE.FindString(rule.ID); full != rule.ID {
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
