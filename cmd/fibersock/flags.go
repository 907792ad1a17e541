package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/handshake"
)

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// newFlags returns a flag set for the command called name, to be used with
// parse. usage is printed in front of the flags, more behind them.
func newFlags(name, usage, more string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parse's caller reports
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage, "\nFlags:\n", flagsHelp(flags), more)
	}
	return flags
}

// helpColumns is the width of a terminal that help fits.
const helpColumns = 80

// flagsHelp returns the descriptions of flags.PrintDefaults, with lines of up
// to helpColumns columns.
func flagsHelp(flags *flag.FlagSet) string {
	var defaults, b strings.Builder
	output := flags.Output()
	flags.SetOutput(&defaults)
	flags.PrintDefaults()
	flags.SetOutput(output)
	const indent = "        "
	column := 0
	for line := range strings.Lines(defaults.String()) {
		name, text, _ := strings.Cut(line, "\t")
		if name = strings.TrimRight(name, " \n"); name != "" { // a flag; the other lines are its description
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(name)
			column = helpColumns
		}
		for word := range strings.FieldsSeq(text) {
			width := utf8.RuneCountInString(word)
			if column+1+width > helpColumns {
				b.WriteString("\n" + indent + word)
				column = len(indent) + width
			} else {
				b.WriteString(" " + word)
				column += 1 + width
			}
		}
	}
	return b.String() + "\n"
}

// parse takes flags before, between and after the other arguments, which it
// returns. The error is flag.ErrHelp if help was asked for, a *usageError
// otherwise.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	usage := flags.Usage
	flags.Usage = func() {} // errors are told in one line; help is printed by our caller
	defer func() { flags.Usage = usage }()
	var rest []string
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		if err != nil {
			return nil, usagef("%s%s", explainValue(flags, err), suggestFlag(flags, err))
		}
		if flags.NArg() == 0 {
			return rest, checkEmpty(flags)
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// explainValue returns the text of err of flags.Parse. For a value that package
// flag cannot parse, it names the form of the values.
func explainValue(flags *flag.FlagSet, err error) string {
	text, found := strings.CutSuffix(err.Error(), ": parse error")
	_, name, named := strings.Cut(text, " for flag -")
	if !found || !named || flags.Lookup(name) == nil {
		return err.Error()
	}
	if value, ok := flags.Lookup(name).Value.(flag.Getter); ok {
		switch value.Get().(type) {
		case time.Duration:
			return text + ": it must be a time with a unit, such as 10s, 500ms or 1m"
		case int:
			return text + ": it must be a whole number"
		case float64:
			return text + ": it must be a number"
		}
	}
	return err.Error()
}

// checkEmpty returns an error if a flag for a text was given without one, such
// as -exec "$COMMAND" of a shell in which the variable is not set.
func checkEmpty(flags *flag.FlagSet) (err error) {
	flags.Visit(func(f *flag.Flag) {
		text, ok := f.Value.(flag.Getter)
		if !ok {
			return
		}
		if s, ok := text.Get().(string); ok && strings.TrimSpace(s) == "" {
			err = usagef("-%s has an empty value; leave the flag out for its default", f.Name)
		}
	})
	return err
}

// parsed shows the result of parse: the help or an error. If there is neither,
// ok is true. An error of untilInterrupted is not shown.
func parsed(flags *flag.FlagSet, std streams, err error) (code exitCode, ok bool) {
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(std.out)
		flags.Usage()
		return exitOK, false
	case errors.Is(err, context.Canceled):
		return exitInterrupted, false
	case err != nil:
		fmt.Fprintf(std.err, "fibersock: %s\nSee \"fibersock help %s\".\n", err, flags.Name())
		return exitUsage, false
	}
	return exitOK, true
}

// listFlag is a flag that may be given more than once, each time with one or
// more values separated by commas.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(s string) error {
	for value := range strings.SplitSeq(s, ",") {
		value = strings.TrimSpace(value)
		if value == "" {
			return errors.New("an empty value")
		}
		*l = append(*l, value)
	}
	return nil
}

// textsFlag is a flag that may be given more than once, each time with one
// value.
type textsFlag []string

func (f *textsFlag) String() string { return strings.Join(*f, ", ") }

func (f *textsFlag) Set(s string) error {
	*f = append(*f, s)
	return nil
}

// headerFlag is a flag for header fields, "Name: value", that may be given more
// than once.
type headerFlag map[string][]string

func (h headerFlag) String() string { return "" }

func (h headerFlag) Set(s string) error {
	name, value, found := strings.Cut(s, ":")
	value = strings.Trim(value, " \t")
	switch {
	case !found:
		return errors.New(`it must be "Name: value"`)
	case !handshake.ValidToken(name):
		return errors.New("the name is not one of a header field")
	case !handshake.ValidValue(value):
		return errors.New("the value holds a control character")
	}
	h[name] = append(h[name], value)
	return nil
}

// delimiterFlag is the separator of messages in the input.
type delimiterFlag struct {
	text string
	set  bool // the flag was given; otherwise messages are lines
}

func (d *delimiterFlag) String() string { return "" }

func (d *delimiterFlag) Set(s string) error {
	text, err := strconv.Unquote(`"` + strings.NewReplacer(`\\`, `\\`, `\0`, `\x00`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`)
	if err != nil {
		return errors.New(`it must be text, perhaps with escapes such as \0, \n or \x1e`)
	}
	d.text, d.set = text, true
	return nil
}

// sizeFlag is a number of bytes: 1000, 64K, 16M, 1G, or none for no limit,
// which is -1. 0 is the library's default.
type sizeFlag int64

func (s *sizeFlag) String() string {
	switch n := int64(*s); {
	case n < 0:
		return "none"
	case n == 0:
		return "16M"
	case n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "M"
	default:
		return strconv.FormatInt(n, 10)
	}
}

func (s *sizeFlag) Set(text string) error {
	if text == "none" {
		*s = -1
		return nil
	}
	digits := strings.TrimRight(strings.TrimSuffix(strings.ToUpper(text), "IB"), "B")
	shift := 0
	if n := len(digits); n > 0 {
		if i := strings.IndexByte("KMG", digits[n-1]); i >= 0 {
			shift = 10 * (i + 1)
			digits = digits[:n-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return errors.New("it must be a number of bytes such as 1000, 64K or 16M, or none")
	}
	*s = sizeFlag(n << shift)
	return nil
}
