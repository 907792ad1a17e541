package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

const completionUsage = `Usage: fibersock completion bash|zsh|fish

Writes a script that completes commands and flags in a shell. It is made from the
flags of this version.

  bash   source <(fibersock completion bash)
  zsh    source <(fibersock completion zsh)
  fish   fibersock completion fish | source
`

// flagTables are the flags of the commands that have some, by the words of the
// command.
var flagTables = map[string]func() *flag.FlagSet{
	"serve":          func() *flag.FlagSet { f, _ := serveFlags(); return f },
	"connect":        func() *flag.FlagSet { f, _ := connectFlags(); return f },
	"replay":         func() *flag.FlagSet { f, _ := replayFlags(); return f },
	"check":          func() *flag.FlagSet { f, _ := checkFlags(); return f },
	"bench":          func() *flag.FlagSet { f, _ := benchFlags(); return f },
	"bridge":         func() *flag.FlagSet { f, _ := bridgeFlags(); return f },
	"frame":          func() *flag.FlagSet { f, _ := frameFlags(); return f },
	"version":        func() *flag.FlagSet { f, _ := versionFlags(); return f },
	"conform server": func() *flag.FlagSet { f, _ := conformServerFlags(); return f },
	"conform client": func() *flag.FlagSet { f, _ := conformClientFlags(); return f },
	"conform drive":  func() *flag.FlagSet { f, _ := conformDriveFlags(); return f },
}

// completionCommand is the subcommand completion.
func completionCommand(_ context.Context, args []string, std streams) exitCode {
	flags := flag.NewFlagSet("completion", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parsed reports
	rest, err := parse(flags, args)
	flags.Usage = func() { fmt.Fprint(flags.Output(), completionUsage) }
	write := map[string]func(b *strings.Builder, words []completions){"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	switch {
	case err != nil:
	case len(rest) != 1 || write[rest[0]] == nil:
		err = usagef("completion takes bash, zsh or fish")
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	var b strings.Builder
	write[rest[0]](&b, completionTable())
	if _, err := io.WriteString(std.out, b.String()); err != nil {
		std.fail(err)
		return exitUsage
	}
	return exitOK
}

// completions are the words that may follow a command.
type completions struct {
	command string       // its words, such as "conform server"; "" for none
	words   []suggestion // commands and plain arguments
	flags   []flagForm
}

// suggestion is a word and its meaning.
type suggestion struct{ word, meaning string }

// flagForm is a flag as shells complete it.
type flagForm struct {
	suggestion          // the word begins with "-"
	value      string   // the name of its value; "" if it takes none
	choices    []string // the values, if there are few
	files      bool     // the value is a file
	dirs       bool     // the value is a directory
}

// completionTable returns the table of all commands.
func completionTable() (table []completions) {
	var top []suggestion
	for _, c := range commands() {
		top = append(top, suggestion{c.name, c.summary})
	}
	table = append(table, completions{words: top})
	table = append(table, completions{command: "help", words: top})
	table = append(table, completions{command: "completion", words: []suggestion{{"bash", ""}, {"zsh", ""}, {"fish", ""}}})
	roles := []suggestion{{"server", "judge a server"}, {"client", "judge clients"}, {"drive", "run the client in the cases of a judge"}}
	table = append(table, completions{command: "conform", words: roles}, completions{command: "help conform", words: roles})
	for _, name := range slices.Sorted(maps.Keys(flagTables)) {
		c := completions{command: name}
		flagTables[name]().VisitAll(func(f *flag.Flag) { c.flags = append(c.flags, formOf(f)) })
		table = append(table, c)
	}
	return table
}

// formOf returns the form of a flag. Its value is a file or directory if that is
// the name of the value.
func formOf(f *flag.Flag) flagForm {
	value, usage := flag.UnquoteUsage(f)
	usage = strings.ReplaceAll(usage, "\n", " ")
	form := flagForm{suggestion: suggestion{"-" + f.Name, usage}, value: value, files: value == "file", dirs: value == "directory"}
	if c, ok := f.Value.(interface{ choices() []string }); ok {
		form.choices = c.choices()
	}
	return form
}

// reply returns the part of a script for the value of the flag: choices, files
// or directories, or other if there is nothing to suggest.
func (f *flagForm) reply(choices, files, dirs, other string) string {
	switch {
	case len(f.choices) > 0:
		return choices
	case f.files:
		return files
	case f.dirs:
		return dirs
	}
	return other
}

// words returns the words of suggestions.
func words(s []suggestion) string {
	var all []string
	for _, w := range s {
		all = append(all, w.word)
	}
	return strings.Join(all, " ")
}

// flagWords returns the words of flags.
func flagWords(flags []flagForm) string {
	var all []string
	for _, f := range flags {
		all = append(all, f.word)
	}
	return strings.Join(all, " ")
}

// bashCompletion writes the script for bash. It finds the command in the words
// before the cursor.
func bashCompletion(b *strings.Builder, table []completions) {
	b.WriteString(`# bash completion of fibersock
_fibersock() {
	local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "$command ${COMP_WORDS[i]}" in
`)
	var names []string
	for _, c := range table {
		if c.command != "" && c.command != "help conform" {
			names = append(names, c.command)
		}
	}
	for _, name := range names {
		first, second, two := strings.Cut(name, " ")
		if two {
			fmt.Fprintf(b, "\t\t\"%s %s\") command=\"%s\" ;;\n", first, second, name)
		} else {
			fmt.Fprintf(b, "\t\t\" %s\") command=\"%s\" ;;\n", name, name)
		}
	}
	b.WriteString("\t\t\"help conform\") command=\"help conform\" ;;\n\t\tesac\n\tdone\n\tCOMPREPLY=()\n\tcase \"$command $prev\" in\n")
	for _, c := range table {
		for _, f := range c.flags {
			if f.value == "" {
				continue
			}
			const suggest = "COMPREPLY=($(compgen %s -- \"$cur\"))"
			reply := f.reply(fmt.Sprintf(suggest, "-W "+shellQuote(strings.Join(f.choices, " "))), fmt.Sprintf(suggest, "-f"), fmt.Sprintf(suggest, "-d"), ":")
			fmt.Fprintf(b, "\t\"%s %s\") %s; return ;;\n", c.command, f.word, reply)
		}
	}
	b.WriteString("\tesac\n\tcase \"$command\" in\n")
	for _, c := range table {
		all := strings.TrimSpace(words(c.words) + " " + flagWords(c.flags))
		fmt.Fprintf(b, "\t%s) COMPREPLY=($(compgen -W %s -- \"$cur\")) ;;\n", shellQuote(c.command), shellQuote(all))
	}
	b.WriteString("\tesac\n}\ncomplete -o default -F _fibersock fibersock\n")
}

// zshCompletion writes the script for zsh.
func zshCompletion(b *strings.Builder, table []completions) {
	b.WriteString(`#compdef fibersock
_fibersock() {
	local command="" i
	for ((i = 2; i < CURRENT; i++)); do
		case "$command ${words[i]}" in
`)
	for _, c := range table {
		if c.command == "" {
			continue
		}
		pattern := " " + c.command
		if strings.Contains(c.command, " ") {
			pattern = c.command
		}
		fmt.Fprintf(b, "\t\t%s) command=%s ;;\n", shellQuote(pattern), shellQuote(c.command))
	}
	b.WriteString("\t\tesac\n\tdone\n\tlocal -a list\n\tcase \"$command ${words[CURRENT-1]}\" in\n")
	for _, c := range table {
		for _, f := range c.flags {
			if f.value == "" {
				continue
			}
			reply := f.reply("compadd "+strings.Join(f.choices, " "), "_files", "_files -/", "_message "+shellQuote(f.value))
			fmt.Fprintf(b, "\t%s) %s; return ;;\n", shellQuote(c.command+" "+f.word), reply)
		}
	}
	b.WriteString("\tesac\n\tcase \"$command\" in\n")
	for _, c := range table {
		fmt.Fprintf(b, "\t%s) list=(", shellQuote(c.command))
		for _, w := range c.words {
			b.WriteString(" " + shellQuote(described(w)))
		}
		for _, f := range c.flags {
			b.WriteString(" " + shellQuote(described(f.suggestion)))
		}
		b.WriteString(" ) ;;\n")
	}
	b.WriteString("\tesac\n\t_describe 'fibersock' list\n}\nif [ \"$funcstack[1]\" = _fibersock ]; then _fibersock; else compdef _fibersock fibersock; fi\n")
}

// described returns "word:meaning" as _describe of zsh reads it.
func described(s suggestion) string {
	word := strings.ReplaceAll(s.word, ":", `\:`)
	if s.meaning == "" {
		return word
	}
	return word + ":" + s.meaning
}

// fishCompletion writes the script for fish.
func fishCompletion(b *strings.Builder, table []completions) {
	b.WriteString("# fish completion of fibersock\ncomplete -c fibersock -f\n")
	for _, c := range table {
		condition := "__fish_use_subcommand"
		if c.command != "" {
			condition = "__fish_seen_subcommand_from " + strings.Join(strings.Fields(c.command), "; and __fish_seen_subcommand_from ")
		}
		for _, w := range c.words {
			fmt.Fprintf(b, "complete -c fibersock -n %s -a %s -d %s\n", shellQuote(condition), shellQuote(w.word), shellQuote(w.meaning))
		}
		for _, f := range c.flags {
			fmt.Fprintf(b, "complete -c fibersock -n %s -o %s -d %s", shellQuote(condition), shellQuote(f.word[1:]), shellQuote(f.meaning))
			switch {
			case len(f.choices) > 0:
				fmt.Fprintf(b, " -x -a %s", shellQuote(strings.Join(f.choices, " ")))
			case f.files, f.dirs:
				b.WriteString(" -r -F")
			case f.value != "":
				b.WriteString(" -x")
			}
			b.WriteString("\n")
		}
	}
}

// shellQuote returns s as one word of a shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
