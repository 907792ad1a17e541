package repotest

import (
	_ "embed"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Ceilings for the number of lines that the tests below find. They only go
// down: remove lines and lower the number.
const (
	maxVagueLines   = 0
	maxPrivateLines = 0
)

// vague matches the word "what" in a comment. A comment that names the payload,
// the peer or the caller does not need it.
var vague = regexp.MustCompile(`(?i)\bwhat\b`)

// quotedText matches text in a comment that is not prose: quotes and code.
var quotedText = regexp.MustCompile("\"[^\"\n]*\"|`[^`\n]*`")

// notCounted are the directories of the benchmarks and comparisons with other
// libraries.
var notCounted = regexp.MustCompile(`^(fuzz|bench|interop)/`)

func isGoFile(name string) bool { return path.Ext(name) == ".go" }

// TestCommentsNameThings counts the comment lines with a vague word.
func TestCommentsNameThings(t *testing.T) {
	var found []string
	visit(t, func(name string) bool { return isGoFile(name) && !notCounted.MatchString(name) }, func(name, text string) {
		for _, line := range vagueLines(t, text) {
			found = append(found, name+": "+line)
		}
	})
	checkCeiling(t, "comment lines with the word \"what\"", found, maxVagueLines)
}

//go:embed words.txt
var privateWords string

// TestVocabularyIsPublic counts the lines with a word of words.txt.
func TestVocabularyIsPublic(t *testing.T) {
	pattern := private(privateWords)
	var found []string
	visit(t, isGoFile, func(name, text string) {
		for line := range strings.Lines(text) {
			if pattern.MatchString(line) {
				found = append(found, name+": "+strings.TrimSpace(line))
			}
		}
	})
	checkCeiling(t, "lines with a word of words.txt", found, maxPrivateLines)
}

// checkCeiling compares the number of lines with the ceiling. With -v it always
// prints the lines.
func checkCeiling(t *testing.T, kind string, found []string, ceiling int) {
	t.Helper()
	t.Logf("%d %s, at most %d:\n%s", len(found), kind, ceiling, strings.Join(found, "\n"))
	if len(found) > ceiling {
		t.Fail()
	}
}

// vagueLines returns the comment lines of a Go file that contain a vague word
// outside quotes.
func vagueLines(t *testing.T, text string) (lines []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			for line := range strings.Lines(comment.Text) {
				if vague.MatchString(quotedText.ReplaceAllString(line, "")) {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
		}
	}
	return lines
}

// private returns a pattern for the words of a list like words.txt.
func private(list string) *regexp.Regexp {
	var words []string
	for line := range strings.Lines(list) {
		if word, _, found := strings.Cut(line, " "); found && word != "#" {
			words = append(words, regexp.QuoteMeta(word))
		}
	}
	return regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
}

func TestCheckerSeesVagueComments(t *testing.T) {
	for text, want := range map[string]int{
		"// what comes is read":                   1,
		"// It reads\n// What it is told, what":   1,
		"// somewhat, whatever":                   0,
		"// the message \"what is this\"":         0,
		"// the option `what`, and what it does":  1,
		"var what = \"what\" // the name":         0,
		"var x = 1 // what it is":                 1,
		"/* what\nand what */":                    2,
		"// says \"a\", what it means, and \"b\"": 1,
	} {
		if got := vagueLines(t, "package p\n\n"+text+"\n"); len(got) != want {
			t.Errorf("%q: %q, want %d lines", text, got, want)
		}
	}
}

func TestCheckerSeesPrivateWords(t *testing.T) {
	pattern := private("# A comment.\n\nabcOne  use one\nxyz     use two\n")
	for text, want := range map[string]bool{
		"the ABCONE":    true,
		"c.xyz(1)":      true,
		"abcOnes, xyzw": false,
		"comment, use":  false,
	} {
		if pattern.MatchString(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
