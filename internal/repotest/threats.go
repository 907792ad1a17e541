package repotest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed threats.txt
var threatsText string

// Threat is one way in which implementations have been broken.
type Threat struct {
	ID      string // as tests cite it: T-A01
	Section string // heading of the list's section that it stands in
	Origin  string // the published vulnerability, or "class: " and what goes wrong
	Role    Role   // whom it threatens: Client, Server or Both
	Text    string // what must hold, in one line
}

// Threats returns the threats in the order of the list.
func Threats() ([]Threat, error) {
	return parseThreats(threatsText)
}

// parseThreats reads a list in the form that the head of threats.txt describes.
func parseThreats(text string) ([]Threat, error) {
	return parseList("threats.txt", text, func(section, line string) (Threat, string, error) {
		threat, err := parseThreat(line)
		threat.Section = section
		return threat, threat.ID, err
	})
}

func parseThreat(line string) (Threat, error) {
	fields, err := cutEntry(line, "id | origin | role | what must hold")
	if err != nil {
		return Threat{}, err
	}
	threat := Threat{ID: fields[0], Origin: fields[1], Role: Role(fields[2]), Text: fields[3]}
	if full := numberRE.FindString(threat.ID); full != threat.ID || !strings.HasPrefix(full, threatPrefix) {
		return Threat{}, fmt.Errorf("%q is no number of a threat", threat.ID)
	}
	switch threat.Role {
	case Client, Server, Both:
		return threat, nil
	default:
		return Threat{}, fmt.Errorf("%s: nobody can be threatened as %q", threat.ID, threat.Role)
	}
}
