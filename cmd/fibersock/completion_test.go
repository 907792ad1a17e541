package main

import (
	"flag"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fibersock/fibersock/internal/test/check"
)

// Each command with flags is in the table, and each entry of the table is a
// command.
func TestFlagTablesHaveAllCommands(t *testing.T) {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	for name, flags := range flagTables {
		first, second, two := strings.Cut(name, " ")
		if !slices.Contains(names, first) || two && conformCommands[second] == nil {
			t.Errorf("there is no command %q", name)
		}
		check.Equal(t, flags().Name(), name, "name of the flags")
	}
	for _, name := range names {
		_, has := flagTables[name]
		usage := runWith(t, nil, "help", name)
		if usage.code != exitOK || has != strings.Contains(usage.out, "\nFlags:\n") {
			t.Errorf("%s: in the table: %v, help: %+v", name, has, usage)
		}
	}
}

// Help fits a terminal, and describes each flag.
func TestHelpFitsATerminal(t *testing.T) {
	for name, flags := range flagTables {
		help := runWith(t, nil, append([]string{"help"}, strings.Fields(name)...)...).out
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpColumns {
				t.Errorf("help %s: a line of %d columns: %s", name, n, line)
			}
		}
		words := strings.Join(strings.Fields(help), " ")
		flags().VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			want := strings.Join(strings.Fields("-"+f.Name+" "+value+" "+usage), " ")
			if usage == "" || !strings.Contains(words, want) {
				t.Errorf("help %s has no %q", name, want)
			}
		})
		if !strings.HasPrefix(help, "Usage: fibersock "+name) || !strings.Contains(help, "\nFlags:\n  -") {
			t.Errorf("help %s:\n%s", name, help)
		}
	}
}

// The scripts have all commands and flags.
func TestCompletionHasAllFlags(t *testing.T) {
	for shell, form := range map[string]string{"bash": "%[1]s", "zsh": "'%[1]s", "fish": "-o '%[2]s'"} {
		r := runWith(t, nil, "completion", shell)
		if r.code != exitOK || r.err != "" {
			t.Errorf("%s: %+v", shell, r)
		}
		for name, flags := range flagTables {
			flags().VisitAll(func(f *flag.Flag) {
				if want := fmt.Sprintf(form, "-"+f.Name, f.Name); !strings.Contains(r.out, want) {
					t.Errorf("%s: %s has no %s", shell, name, want)
				}
			})
		}
		for _, c := range commands() {
			if !strings.Contains(r.out, c.name) {
				t.Errorf("%s: there is no %s", shell, c.name)
			}
		}
	}
	for _, args := range []string{"completion", "completion tcsh", "completion bash zsh", "completion -x bash"} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || r.out != "" {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if code := run(t.Context(), []string{"completion", "bash"}, nil, brokenWriter{}, io.Discard); code != exitUsage {
		t.Errorf("standard output is closed: exit code %d", code)
	}
	if r := runWith(t, nil, "help", "completion"); r.code != exitOK || !strings.Contains(r.out, "source <(") {
		t.Errorf("%+v", r)
	}
}

func TestShellQuote(t *testing.T) {
	check.Equal(t, shellQuote("it's $x"), `'it'\''s $x'`, "quoted")
	check.Equal(t, described(suggestion{"a:b", "c: d"}), `a\:b:c: d`, "described")
}

// bash completes commands, flags, and the values of flags.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	script := runWith(t, nil, "completion", "bash").out
	for line, want := range map[string]string{
		"fibersock ch":                                  "check",
		"fibersock con":                                 "connect conform",
		"fibersock serve -tls":                          "-tls -tls-cert -tls-key",
		"fibersock serve -compression o":                "on off",
		"fibersock check -compression no":               "no-takeover",
		"fibersock conform s":                           "server",
		"fibersock conform client -onc":                 "-once",
		"fibersock help bri":                            "bridge",
		"fibersock help conform d":                      "drive",
		"fibersock completion z":                        "zsh",
		"fibersock bench ws://a -dur":                   "-duration",
		"fibersock check -cacert completion":            "completion.go completion_test.go",
		"fibersock check -timeout ":                     "",
		"fibersock serve -addr check -unix completion_": "completion_test.go",
	} {
		words := strings.Split(line, " ")
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = shellQuote(w)
		}
		cmd := exec.Command(bash, "--norc", "-c", script+fmt.Sprintf("\nCOMP_WORDS=(%s); COMP_CWORD=%d; _fibersock; printf '%%s\\n' \"${COMPREPLY[@]}\"", strings.Join(quoted, " "), len(words)-1))
		out, err := cmd.CombinedOutput()
		check.OK(t, err)
		got := strings.Fields(string(out))
		if want := strings.Fields(want); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
