package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/wstest/conform"
)

// maxBase bounds the part of a file's name that comes from the agent, so that the whole is
// a legal name everywhere.
const maxBase = 100

// FileBase returns what an agent's files are named after, as the suite has it: its name in lower case, each character that is
// neither a to z nor a digit turned into a space, trimmed, and spaces into underscores. In two points the suite has no rule: a name of
// which nothing remains is "unnamed", and one longer than 100 is cut there and ends in eight digits of the whole name's hash.
func FileBase(agent string) string {
	spaced := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return ' '
	}, strings.ToLower(agent))
	base := strings.ReplaceAll(strings.Trim(spaced, " "), " ", "_")
	switch {
	case base == "":
		return "unnamed"
	case len(base) > maxBase:
		return base[:maxBase] + "_" + shortHash(agent)
	}
	return base
}

// An agent is a peer with what the files call it.
type agent struct {
	name    string // in UTF-8, as index.json has it
	shown   string // as the pages have it
	base    string // of its files
	results []*conform.Result
}

// agentsOf gives each agent names that no other has, in alphabetical order. Where several have the same FileBase the first of
// them has it, and the others have their own name's hash behind it; no one's hash hides another's name. So an agent's
// files may be named otherwise once another agent joins, and index.json says how.
func agentsOf(results map[string][]*conform.Result) []*agent {
	names := slices.Sorted(maps.Keys(results))
	reserved := map[string]bool{}
	for _, name := range names {
		reserved[FileBase(name)] = true
	}
	keys, bases := map[string]bool{}, map[string]bool{}
	var agents []*agent
	for _, name := range names {
		a := &agent{name: escapeInvalid(name), base: FileBase(name), results: inOrder(results[name])}
		for keys[a.name] {
			a.name += " " + shortHash(name)
		}
		if bases[a.base] {
			for a.base += "_" + shortHash(name); bases[a.base] || reserved[a.base]; {
				a.base += "_"
			}
		}
		a.shown = cmp.Or(escapeUnprintable(cut(a.name, 100)), "(no name)")
		keys[a.name], bases[a.base] = true, true
		agents = append(agents, a)
	}
	return agents
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// caseFile returns the name of a case's file, without the ending.
func caseFile(base, id string) string {
	return base + "_case_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(id))
}
