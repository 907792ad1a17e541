package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/fibersock/fibersock/wstest/conform"
)

const conformUsage = `Usage: fibersock conform server [flags] URL...
       fibersock conform client [flags]
       fibersock conform drive [flags] URL

Judges any implementation of WebSocket by the cases of the Autobahn TestSuite:
the same ids, inputs, delays and verdicts.

  server  judges the echo server at each URL
  client  runs a fuzzing server, which judges the clients that connect to it
  drive   runs fibersock's client in the cases of a fuzzing server:
          "fibersock conform client", or that of the Autobahn TestSuite

"fibersock help conform server" lists the flags and exit codes, and so on.
`

// conformCommands are the subcommands of conform.
var conformCommands = map[string]func(ctx context.Context, args []string, std streams) exitCode{
	"server": conformServer,
	"client": conformClient,
	"drive":  conformDrive,
}

// conformCommand is the subcommand conform, which has subcommands.
func conformCommand(ctx context.Context, args []string, std streams) exitCode {
	if len(args) > 0 {
		if command, ok := conformCommands[args[0]]; ok {
			return command(ctx, args[1:], std)
		}
	}
	flags := flag.NewFlagSet("conform", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parsed reports
	rest, err := parse(flags, args)
	flags.Usage = func() { fmt.Fprint(flags.Output(), conformUsage) }
	switch {
	case err != nil:
	case len(rest) == 0:
		err = usagef("conform takes server, client or drive")
	default:
		err = usagef("conform takes server, client or drive, not %q", rest[0])
	}
	code, _ := parsed(flags, std, err)
	return code
}

// conformOptions are the flags of both roles of the judge.
type conformOptions struct {
	only, except   listFlag
	out            string
	expect         string
	stricter       bool
	patience       float64
	parallel       int
	quiet, verbose bool
	json           bool
}

func (o *conformOptions) add(flags *flag.FlagSet) {
	flags.Var(&o.only, "cases", "run only these cases: `ids` or patterns such as 1.*,6.4.*; may be repeated")
	flags.Var(&o.except, "exclude", "leave out these cases: `ids` or patterns; may be repeated")
	flags.StringVar(&o.expect, "expect", "", "compare with the verdicts in this `file`, an index.json, and list the differences, which\ndecide on the exit code")
	flags.BoolVar(&o.stricter, "stricter", false, "with -expect: a verdict that is worse than the expected one is no difference")
	flags.Float64Var(&o.patience, "patience", 1, "multiply the judge's timeouts by this `factor`; the delays of a case stay as they are")
	flags.BoolVar(&o.quiet, "quiet", false, "show no table and no progress, only the differences of -expect")
	flags.BoolVar(&o.json, "json", false, "write a line of JSON for each verdict and each difference in place of the table")
	flags.BoolVar(&o.verbose, "v", false, "show each verdict and its reason at the end of the case")
}

// check checks combinations of flags.
func (o *conformOptions) check() error {
	switch {
	case !(o.patience > 0):
		return usagef("-patience takes a factor above 0, not %v", o.patience)
	case o.parallel < 0:
		return usagef("-parallel takes a number of cases, not %d", o.parallel)
	case o.stricter && o.expect == "":
		return usagef("-stricter needs -expect")
	case o.quiet && o.json:
		return usagef("-quiet and -json contradict each other")
	case o.quiet && o.verbose:
		return usagef("-quiet and -v contradict each other")
	}
	return nil
}

// judgeOptions are the options of the judge, without callbacks.
func (o *conformOptions) judgeOptions() conform.Options {
	return conform.Options{Patience: o.patience, Parallel: o.parallel}
}

// selection describes the selection of cases.
func (o *conformOptions) selection() string {
	cases := "all"
	if len(o.only) > 0 {
		cases = o.only.String()
	}
	if len(o.except) > 0 {
		cases += " but " + o.except.String()
	}
	return cases
}
