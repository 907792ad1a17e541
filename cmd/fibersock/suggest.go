package main

import (
	"flag"
	"fmt"
	"strings"
)

// foreignFlags are flags of other programs, with the words that replace them
// here.
var foreignFlags = map[string]string{
	"c": "the URL without a flag", "connect": "the URL without a flag",
	"header": "-H", "no-check": "-k", "no-cert": "-k", "w": "-wait", "execute": "-x",
	"s": "-subprotocol", "protocol": "-subprotocol", "subprotocols": "-subprotocol", "o": "-origin",
	"auth": "-H 'Authorization: …', or a URL with a user", "ca": "-cacert", "P": "-v", "show-ping-pong": "-v", "verbose": "-v",
	"text": "no flag: messages are text unless -binary is given", "t": "no flag: messages are text unless -binary is given",
	"b": "-binary", "socks5": "-proxy socks5://…", "ping-interval": "-ping",
}

// suggestFlag returns the end of the error of flags.Parse about an unknown
// flag, "" for another error.
func suggestFlag(flags *flag.FlagSet, err error) string {
	_, name, unknown := strings.Cut(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return ""
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if ours := foreignFlags[name]; ours != "" && flags.Name() == "connect" {
		return "; use " + ours
	}
	if nearest := nearest(name, names); nearest != "" {
		return fmt.Sprintf("; did you mean -%s?", nearest)
	}
	return ""
}

// suggestCommand returns the end of the error about an unknown command.
func suggestCommand(name string) string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	if nearest := nearest(name, names); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

// nearest returns the name with the smallest number of typing errors, "" if all
// have more than two, or as many as the word has letters.
func nearest(word string, names []string) (found string) {
	best := min(3, len(word))
	for _, name := range names {
		if d := distance(word, name); d < best {
			best, found = d, name
		}
	}
	return found
}

// distance returns the number of characters that are inserted, removed or
// replaced between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a prefix of a to the prefixes of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
