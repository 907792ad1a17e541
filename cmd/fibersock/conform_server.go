package main

import (
	"context"
	"flag"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/conform"
)

const conformServerUsage = `Usage: fibersock conform server [flags] URL

Judges the server at a ws or wss URL, which has to send every message back.
Each case is one connection. The table of verdicts goes to standard output,
progress to standard error if that is a terminal.
`

const conformServerExitCodes = `
Exit codes:
  0    the server passes: each verdict is OK, NON-STRICT, INFORMATIONAL or
       UNIMPLEMENTED; with -expect: all verdicts are the expected ones
  1    wrong use, or a file or standard output cannot be used
  2    the server cannot be reached
  3    TLS failed
  5    the server does not pass; with -expect: something differs
  130  interrupted; what there was until then has been reported
`

// conformServerOptions are the flags of conform server.
type conformServerOptions struct {
	conformOptions
	trust  trustOptions
	agent  string
	origin string
}

func conformServerFlags() (*flag.FlagSet, *conformServerOptions) {
	o := new(conformServerOptions)
	flags := newFlags("conform server", conformServerUsage, conformServerExitCodes)
	o.add(flags)
	o.trust.add(flags)
	flags.IntVar(&o.parallel, "parallel", 0, "run this many `cases` at the same time; those that measure time run alone (default 32)")
	flags.StringVar(&o.agent, "agent", "", "call the server by this `name` in reports (default: the one that it gives itself)")
	flags.StringVar(&o.origin, "origin", "", "send this `origin`, as the browser does for a page from there")
	flags.StringVar(&o.out, "out", "", "write the report into this `directory`: index.json, index.html, and for each case a page\nand its JSON (default: write none)")
	return flags, o
}

// conformServer is the subcommand conform server.
func conformServer(ctx context.Context, args []string, std streams) exitCode {
	flags, o := conformServerFlags()
	rest, err := parse(flags, args)
	var to conform.Target
	switch {
	case err != nil:
	case len(rest) != 1:
		err = usagef("conform server takes one URL, not %d", len(rest))
	default:
		to, err = o.target(rest[0])
	}
	var j *judging
	if err == nil {
		j, err = newJudging(&o.conformOptions, conform.Server, std)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	options := o.judgeOptions()
	options.Agent, options.Result = o.agent, j.result
	results, err := conform.TestServer(ctx, to, j.cases, options)
	code := j.conclude(byAgent(results))
	if err != nil {
		code = endOfRun(ctx, err)
		j.note("%s", escape(withoutPrefix(err)))
	}
	return code
}

// byAgent sorts results by the name of the peer.
func byAgent(results []*conform.Result) map[string][]*conform.Result {
	agents := map[string][]*conform.Result{}
	for _, r := range results {
		agents[r.Agent] = append(agents[r.Agent], r)
	}
	return agents
}

// endOfRun says what it means that a run ended with err.
func endOfRun(ctx context.Context, err error) exitCode {
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case isTLSError(err):
		return exitTLS
	}
	return exitUnreachable
}

// target returns the server at url as the judge takes it.
func (o *conformServerOptions) target(url string) (conform.Target, error) {
	u, err := handshake.ParseURL(url)
	if err != nil {
		return conform.Target{}, err
	}
	if err := o.trust.check(); err != nil {
		return conform.Target{}, err
	}
	to := conform.Target{URL: u.String(), Origin: o.origin}
	to.TLS, err = o.trust.config()
	return to, err
}
