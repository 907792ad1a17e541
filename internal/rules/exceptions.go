package rules

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed exceptions.txt
var exceptionsText string

// Exception is a rule that no test exercises, with the reason.
type Exception struct {
	ID     string
	Reason string
}

// Exceptions returns the rules without a test, in the order of their list.
func Exceptions() ([]Exception, error) {
	return parseExceptions(exceptionsText)
}

// parseExceptions reads a list in the form that the head of exceptions.txt
// describes.
func parseExceptions(text string) ([]Exception, error) {
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
			return nil, fmt.Errorf("exceptions.txt:%d: rules without a reason: %q", number, ids)
		}
		for _, id := range strings.Fields(ids) {
			if seen[id] {
				return nil, fmt.Errorf("exceptions.txt:%d: a second reason for %s", number, id)
			}
			seen[id] = true
			exceptions = append(exceptions, Exception{ID: id, Reason: reason})
		}
	}
	return exceptions, nil
}
