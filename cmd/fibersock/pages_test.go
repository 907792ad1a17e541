package main

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// inPage matches this command with its arguments in a Markdown page: in a line
// of a code block, or in code in the text.
var inPage = regexp.MustCompile("(?m)(?:^[ \t]*|`)(?:go run \\S*cmd/fibersock\\S*|fibersock) ([^`\n]*)")

// codeOnly removes the text of a page from its lines, except for lines of code
// blocks and code between backquotes.
func codeOnly(page string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			b.WriteString(line)
		default:
			for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(line, -1) {
				b.WriteString(code + "\n")
			}
		}
	}
	return b.String()
}

// flagSets are the flags of the commands that have some.
func flagSets() map[string]*flag.FlagSet {
	sets := make(map[string]*flag.FlagSet)
	for _, of := range flagTables {
		f := of()
		sets[f.Name()] = f
	}
	return sets
}

// wrongUse returns the part of a command line that the command does not have,
// or "".
func wrongUse(line string) string {
	words := strings.Fields(line)
	for i, word := range words { // up to the end of the shell's command
		if strings.ContainsAny(word[:1], "#|&><2;") && !strings.HasPrefix(word, "2.") {
			words = words[:i]
			break
		}
	}
	if len(words) == 0 {
		return ""
	}
	name := words[0]
	if looksLikeURL(name) && name != "--version" || name == "URL" {
		name, words = "connect", append([]string{"connect"}, words...)
	}
	if !slices.ContainsFunc(commands(), func(c command) bool { return c.name == name }) && name != "--version" {
		return name
	}
	if name == "help" {
		return wrongUse(strings.Join(words[1:], " "))
	}
	if name == "conform" && len(words) > 1 {
		if conformCommands[words[1]] == nil {
			return words[1]
		}
		name += " " + words[1]
	}
	flags := flagSets()[name]
	for _, word := range words[1:] {
		option, isOption := strings.CutPrefix(word, "-")
		option, _, _ = strings.Cut(strings.TrimPrefix(option, "-"), "=")
		if isOption && (flags == nil || flags.Lookup(option) == nil) {
			return word
		}
	}
	return ""
}

// TestPagesShowCommandsThatExist checks the commands and flags in the pages of
// the repository.
func TestPagesShowCommandsThatExist(t *testing.T) {
	root := os.DirFS("../..")
	seen := 0
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "artifacts"):
			return fs.SkipDir
		case path.Ext(name) != ".md" || name == "CHANGELOG.md": // which has commands of the past
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, found := range inPage.FindAllStringSubmatch(codeOnly(string(text)), -1) {
			seen++
			if wrong := wrongUse(found[1]); wrong != "" {
				t.Errorf("%s: fibersock %s: there is no %s", name, found[1], wrong)
			}
		}
		return nil
	})
	check.Must(t, err)
	if seen < 10 {
		t.Errorf("%d commands", seen)
	}
}

func TestCheckerSeesWrongUse(t *testing.T) {
	for line, want := range map[string]string{
		"serve":                               "",
		"serve -addr localhost:80 & other -x": "",
		"connect ws://a -json=true # -no":     "",
		"conform server ws://a -out report":   "",
		"conform":                             "",
		"help conform":                        "",
		"version":                             "",
		"--version":                           "",
		"fly":                                 "fly",
		"serve -fast":                         "-fast",
		"connect ws://a --fast=1":             "--fast=1",
		"conform other":                       "other",
		"version -v":                          "-v",
		"localhost:8080/echo -k":              "",
		"-k -fast wss://a":                    "-fast",
		"replay -speed 0 FILE URL":            "",
	} {
		if got := wrongUse(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	page := "fibersock is a library. Run `fibersock fly -x` or\n\n```sh\ngo run ./cmd/fibersock fly\n```\n\n    fibersock fly\n"
	if found := inPage.FindAllString(codeOnly(page), -1); len(found) != 3 {
		t.Errorf("found %q", found)
	}
}
