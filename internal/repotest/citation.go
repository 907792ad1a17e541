package repotest

import (
	"regexp"
	"strings"
)

// numberRE finds what looks like the number of a rule or a threat. It takes a whole
// word, so that a number with something behind it is another, unknown one.
var numberRE = regexp.MustCompile(`\b(?:(?:6455|7692|7936|8307|8441|9110|9112|9220|IANA|WHATWG)-[0-9A-Za-z](?:[-.…]?[0-9A-Za-z])*|T-[A-Z][0-9]+[0-9A-Za-z]*)`)

// moreRE finds further rules of the same section behind a number.
var moreRE = regexp.MustCompile(`^(?:, -|,)([a-z]{1,2})\b`)

// threatPrefix begins the number of a threat.
const threatPrefix = "T-"

// Cited returns the numbers of rules and threats in text, a comment or a string,
// in the order in which they stand there. It does not know whether there are such
// rules and threats.
func Cited(text string) []string {
	var ids []string
	for {
		at := numberRE.FindStringIndex(text)
		if at == nil {
			return ids
		}
		first := text[at[0]:at[1]]
		text = text[at[1]:]
		ids = append(ids, first)
		if strings.HasPrefix(first, threatPrefix) {
			continue
		}
		section := first[:strings.LastIndex(first, "-")+1]
		for {
			more := moreRE.FindStringSubmatch(text)
			if more == nil {
				break
			}
			ids = append(ids, section+more[1])
			text = text[len(more[0]):]
		}
	}
}
