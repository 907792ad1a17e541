package repotest

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed exceptions.txt
var exceptionsText string

//go:embed threat_exceptions.txt
var threatExceptionsText string

// Exception is a rule or a threat that no test exercises, with the reason.
type Exception struct {
	ID     string
	Reason string
}

// openMark begins the reason of what is still to be done.
const openMark = "open: "

// Open reports whether there should be a test, and is none yet.
func (e Exception) Open() bool { return strings.HasPrefix(e.Reason, openMark) }

// Exceptions returns the rules without a test, in the order of their list.
func Exceptions() ([]Exception, error) {
	return parseExceptions("exceptions.txt", exceptionsText)
}

// ThreatExceptions returns the threats without a test, in the order of their list.
func ThreatExceptions() ([]Exception, error) {
	return parseExceptions("threat_exceptions.txt", threatExceptionsText)
}

// parseExceptions reads a list in the form that the head of exceptions.txt
// describes. file is for errors.
func parseExceptions(file, text string) ([]Exception, error) {
	var exceptions []Exception
	seen := make(map[string]bool)
	reason := ""
	for number, line := range numbered(text) {
		ids, indented := strings.CutPrefix(line, "\t")
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case !indented:
			reason = strings.TrimSpace(line)
			continue
		case reason == "":
			return nil, fmt.Errorf("%s:%d: numbers without a reason: %q", file, number, ids)
		}
		for _, id := range strings.Fields(ids) {
			if seen[id] {
				return nil, fmt.Errorf("%s:%d: a second reason for %s", file, number, id)
			}
			seen[id] = true
			exceptions = append(exceptions, Exception{ID: id, Reason: reason})
		}
	}
	return exceptions, nil
}
