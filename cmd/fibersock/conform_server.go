package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wstest/conform"
)

const conformServerUsage = `Usage: fibersock conform server [flags] URL...

Judges the server at a ws or wss URL. The server must send every message back.
Each case is one connection. Cases run at the same time; one that does not pass
is judged again, alone, and the second verdict stands. The table of verdicts
goes to standard output, progress to standard error if that is a terminal.

With several URLs, the servers are judged one after the other, and the report
shows them side by side.
`

const conformServerExitCodes = `
Exit codes:
  0    the server passes: each verdict is OK, NON-STRICT, INFORMATIONAL or
       UNIMPLEMENTED; with -expect: all verdicts are the expected ones
  1    wrong use, or a file or standard output cannot be used
  2    the server cannot be reached
  3    TLS failed
  4    the server refused the first opening handshakes, and no case was run
  5    the server does not pass, or went down during the run; with
       -expect: something differs
  130  interrupted; the results until then are reported
With several URLs it is the first code that is not 0.
`

// conformServerOptions are the flags of conform server.
type conformServerOptions struct {
	conformOptions
	trust        trustOptions
	agents       textsFlag
	origin       string
	header       headerFlag
	subprotocols listFlag
}

func conformServerFlags() (*flag.FlagSet, *conformServerOptions) {
	o := &conformServerOptions{header: headerFlag{}}
	flags := newFlags("conform server", conformServerUsage, conformServerExitCodes)
	o.add(flags)
	o.trust.add(flags)
	flags.IntVar(&o.parallel, "parallel", 0, "run this many `cases` at the same time; those that measure time run alone (default 32)")
	flags.Var(&o.agents, "agent", "use this `name` in reports; with several URLs, once for each, in their order (default:\nthe response's field Server)")
	flags.Var(o.header, "H", "send this `field`, 'Name: value', in the handshake; may be repeated. The values of\nAuthorization, Proxy-Authorization and Cookie are omitted from reports")
	flags.Var(&o.subprotocols, "subprotocol", "offer these subprotocols, `names` separated by commas, the preferred one first;\nmay be repeated")
	flags.StringVar(&o.origin, "origin", "", "send this `origin`, as the browser does for a page from there")
	flags.StringVar(&o.out, "out", "", "write the report into this `directory`: index.json, index.html, and for each case a page\nand its JSON (default: write none)")
	return flags, o
}

// conformServer is the subcommand conform server.
func conformServer(ctx context.Context, args []string, std streams) exitCode {
	flags, o := conformServerFlags()
	rest, err := parse(flags, args)
	var urls []string
	options := o.judgeOptions()
	if err == nil {
		urls, err = o.targets(rest, &options)
	}
	var j *judging
	if err == nil {
		j, err = newJudging(&o.conformOptions, conform.Server, std)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	all := map[string][]*conform.Result{}
	code := exitOK
	options.Result, options.Again = j.result, j.again
	for i, url := range urls {
		if len(o.agents) > 0 {
			options.Agent = o.agents[i]
		}
		results, err := conform.JudgeServer(ctx, url, j.cases, options)
		if len(results) > 0 {
			agent := freeName(all, results[0].Agent, url)
			for _, r := range results {
				r.Agent = agent
			}
			all[agent] = results
			j.tell(agent, results)
		}
		if err != nil {
			j.note("%s", escape(texts.WithoutPrefix(err)))
			code = cmp.Or(code, endOfRun(ctx, err))
		}
		if ctx.Err() != nil {
			code = exitInterrupted
			break
		}
	}
	return cmp.Or(code, j.conclude(all))
}

// freeName returns a name for the server at url that is unique in the report.
func freeName(all map[string][]*conform.Result, name, url string) string {
	if all[name] != nil {
		name += " at " + url
	}
	for n, free := 2, name; ; n++ {
		if all[free] == nil {
			return free
		}
		free = fmt.Sprintf("%s (%d)", name, n)
	}
}

// endOfRun returns the exit code for the error of a run.
func endOfRun(ctx context.Context, err error) exitCode {
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case isAny[*conform.RefusedError](err):
		return exitRefused
	case isAny[*conform.DownError](err):
		return exitFailed
	case isTLSError(err):
		return exitTLS
	}
	return exitUnreachable
}

// targets returns the URLs in their normal form, and sets the options for all
// of them.
func (o *conformServerOptions) targets(urls []string, options *conform.Options) ([]string, error) {
	switch {
	case len(urls) == 0:
		return nil, usagef("conform server takes one URL or more")
	case len(o.agents) > 0 && len(o.agents) != len(urls):
		return nil, usagef("-agent is given %d times for %d URLs", len(o.agents), len(urls))
	}
	err := o.trust.check()
	if err == nil {
		options.TLS, err = o.trust.config()
	}
	if err != nil {
		return nil, err
	}
	var normal []string
	for _, url := range urls {
		u, err := handshake.ParseURL(url)
		if err != nil {
			return nil, err
		}
		normal = append(normal, u.String())
	}
	options.Origin, options.Header, options.Subprotocols = o.origin, http.Header(o.header), o.subprotocols
	if err := options.Check(); err != nil {
		return nil, usagef("%s", err)
	}
	return normal, nil
}
