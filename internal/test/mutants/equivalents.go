package main

import (
	"fmt"
	"strconv"
	"strings"
)

// parseEquivalents parses the list of mutants that behave like the original. It
// consists of paragraphs:
//
//	wire/utf8.go endsASCII
//	- case n > 8 || len(p) < 4:
//	+ case n >= 8 || len(p) < 4:
//	= of eight bytes the loop below finds the same
//
// Several "+" lines after a "-" share the reason. "+2" is the second mutant
// with the same lines. "#" begins a comment.
func parseEquivalents(text string) (map[key]string, error) {
	var (
		list    = map[key]string{}
		at      key
		pending []key // without a reason yet
		number  = 0
	)
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || mark == "#":
		case mark == "-" && at.place != "":
			at.before = rest
		case strings.HasPrefix(mark, "+") && at.before != "":
			k := at
			k.after, k.nth = rest, 1
			if mark != "+" {
				n, err := strconv.Atoi(mark[1:])
				if err != nil || n < 2 {
					return nil, fmt.Errorf("line %d: %q is no number from 2 on", number, mark[1:])
				}
				k.nth = n
			}
			if _, twice := list[k]; twice {
				return nil, fmt.Errorf("line %d: this one is listed twice", number)
			}
			list[k] = ""
			pending = append(pending, k)
		case mark == "=" && len(pending) > 0 && rest != "":
			for _, k := range pending {
				list[k] = rest
			}
			pending = nil
		case strings.HasSuffix(mark, ".go") && rest != "" && len(pending) == 0:
			at = key{file: mark, place: rest}
		default:
			return nil, fmt.Errorf("line %d: %q does not belong here", number, line)
		}
	}
	if len(pending) > 0 {
		return nil, fmt.Errorf("no reason for %s", pending[0].change())
	}
	return list, nil
}
