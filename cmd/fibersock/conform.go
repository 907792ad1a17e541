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

Judges an implementation of WebSocket, whosever it is, by the cases of the
Autobahn TestSuite: the same ids, inputs, waits and verdicts.

  server  judges the echo server at each URL
  client  is a fuzzing server, which judges the clients that connect to it
  drive   takes our own client through the cases of a fuzzing server, be it
          "fibersock conform client" or the original

"fibersock help conform server" and so on tells the flags and the exit codes.
`

// conformCommands are the subcommands of conform.
var conformCommands = map[string]func(ctx context.Context, args []string, std streams) exitCode{
	"server": conformServer,
	"client": conformClient,
	"drive":  conformDrive,
}

// conformCommand is the subcommand conform, which has subcommands of its own.
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

// conformOptions are the flags that both roles of the judge have.
type conformOptions struct {
	only, except   listFlag
	out            string
	expect         string
	stricter       bool
	patience       float64
	parallel       int
	quiet, verbose bool
}

func (o *conformOptions) add(flags *flag.FlagSet) {
	flags.Var(&o.only, "cases", "run only these cases: `ids` or patterns such as 1.*,6.4.*; may be repeated")
	flags.Var(&o.except, "exclude", "leave out these cases: `ids` or patterns; may be repeated")
	flags.StringVar(&o.expect, "expect", "", "compare with the verdicts in this `file`, an index.json, list what differs, and let\nnothing else decide on the exit code")
	flags.BoolVar(&o.stricter, "stricter", false, "with -expect: a verdict that is worse than the expected one is no difference")
	flags.Float64Var(&o.patience, "patience", 1, "multiply the times after which the judge gives up by this `factor`; waits that a case\nis about stay as they are")
	flags.BoolVar(&o.quiet, "quiet", false, "show no table and no progress, only what -expect finds")
	flags.BoolVar(&o.verbose, "v", false, "tell each verdict and its reason as soon as it is known")
}

// check looks at what flags cannot check one by one.
func (o *conformOptions) check() error {
	switch {
	case !(o.patience > 0):
		return usagef("-patience takes a factor above 0, not %v", o.patience)
	case o.parallel < 0:
		return usagef("-parallel takes a number of cases, not %d", o.parallel)
	case o.stricter && o.expect == "":
		return usagef("-stricter needs -expect")
	case o.quiet && o.verbose:
		return usagef("-quiet and -v contradict each other")
	}
	return nil
}

// judgeOptions are the options for the judge, without what to do with results.
func (o *conformOptions) judgeOptions() conform.Options {
	return conform.Options{Patience: o.patience, Parallel: o.parallel}
}

// selection says which cases are run.
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
