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

// maxBase is the limit of the part of a file's name that is from the agent. So
// the name is legal on all systems.
const maxBase = 100

// FileBase returns the prefix of an agent's files, as in the suite: its name in
// lower case, trimmed, with an underscore for each other character than a to z
// and digits. For two cases the suite has no rule: an empty result is
// "unnamed", and one longer than 100 is truncated and ends with eight digits of
// the name's hash.
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

// An agent is a peer with its names.
type agent struct {
	name    string // in UTF-8, as index.json has it
	shown   string // as the pages have it
	base    string // of its files
	results []*conform.Result
}

// agentsOf returns the agents with unique names, in alphabetical order. Of
// several with the same FileBase the first keeps it, and the others get their
// name's hash as a suffix. So the names of an agent's files may change with
// another agent; index.json has them.
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
