package main

import (
	"context"
	"flag"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/wstest/conform"
)

const conformClientUsage = `Usage: fibersock conform client [flags]

Runs a fuzzing server, which judges the clients that connect to it. A client
must send every message back. It makes a connection for each step:

  /getCaseCount              a message has the number of cases
  /runCase?case=N&agent=NAME each case from 1 to that number, until the
                             connection ends
  /updateReports?agent=NAME  the report is written and the table shown

There are also /getCaseInfo?case=N and /getCaseStatus?case=N&agent=NAME.
casetuple=ID may replace case=N. "fibersock conform drive" does all this.

It ends with an interrupt, with /stopServer, or after an /updateReports with
shutdownOnComplete=true. A browser shows the report at the same address.
`

const conformClientExitCodes = `
Exit codes:
  0    all clients pass: each verdict is OK, NON-STRICT, INFORMATIONAL or
       UNIMPLEMENTED; with -expect: all verdicts are the expected ones
  1    wrong use, or a file or standard output cannot be used
  2    cannot listen or accept
  5    a client does not pass; with -expect: something differs; or a client
       did not run all cases, or no client connected
`

// conformClientOptions are the flags of conform client.
type conformClientOptions struct {
	conformOptions
	listener     serveOptions
	once         bool
	subprotocols listFlag
}

func conformClientFlags() (*flag.FlagSet, *conformClientOptions) {
	o := new(conformClientOptions)
	flags := newFlags("conform client", conformClientUsage, conformClientExitCodes)
	o.add(flags)
	flags.StringVar(&o.listener.addr, "addr", "localhost:9001", "listen on this `address`; with port 0 the system chooses one")
	flags.StringVar(&o.listener.certFile, "tls-cert", "", "serve wss and https with the certificates in this PEM `file`")
	flags.StringVar(&o.listener.keyFile, "tls-key", "", "the certificate's key, a PEM `file`")
	flags.Var(&o.subprotocols, "subprotocol", "support these subprotocols, `names` separated by commas: the first of a client's that is\namong them is selected; may be repeated")
	flags.BoolVar(&o.once, "once", false, "end after the first /updateReports")
	flags.StringVar(&o.out, "out", "", "write the report into this `directory`: index.json, index.html, and for each case a page\nand its JSON (default: a temporary one, for browsers until the end)")
	return flags, o
}

// conformClient is the subcommand conform client.
func conformClient(ctx context.Context, args []string, std streams) exitCode {
	flags, o := conformClientFlags()
	rest, err := parse(flags, args)
	switch {
	case err != nil:
	case len(rest) > 0:
		err = usagef("conform client takes no arguments but flags, not %q", rest[0])
	case (o.listener.certFile == "") != (o.listener.keyFile == ""):
		err = usagef("-tls-cert and -tls-key go together")
	}
	var j *judging
	if err == nil {
		j, err = newJudging(&o.conformOptions, conform.Client, std)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	ln, code, err := o.listener.listen(std.err)
	if err != nil {
		j.note("%s", err)
		return code
	}
	return o.serve(ctx, ln, j)
}

// serve serves clients and browsers until the end, and returns the exit code.
func (o *conformClientOptions) serve(ctx context.Context, ln net.Listener, j *judging) exitCode {
	if j.dir == "" {
		dir, err := os.MkdirTemp("", "fibersock-conform-")
		if err != nil {
			ln.Close()
			j.note("%s", err)
			return exitUsage
		}
		defer os.RemoveAll(dir)
		j.dir = dir
	}
	s := &conform.FuzzingServer{Cases: j.cases, Options: o.judgeOptions(), Page: j.page}
	s.Options.Result = j.result
	s.Once, s.Subprotocols = o.once, o.subprotocols
	updated := map[string][]*conform.Result{}
	s.Update = func(agent string, results []*conform.Result) {
		j.tell(agent, results)
		updated[agent] = results
		j.write(updated)
	}
	o.announce(ln.Addr(), j)
	err := s.Serve(ctx, ln)
	all := s.Results()
	j.tellRest(all)
	code := j.conclude(all)
	complete := j.complete(all)
	if err != nil && ctx.Err() == nil {
		j.note("%s", err)
		return exitUnreachable
	}
	if code == exitOK && !complete {
		return exitFailed
	}
	return code
}

// announce shows the address of the server and its use.
func (o *conformClientOptions) announce(addr net.Addr, j *judging) {
	page := o.listener.pageURL(addr)
	url := "ws" + strings.TrimPrefix(page, "http")
	j.note("judging clients in %d cases at %s", len(j.cases), url)
	j.note("to judge fibersock's client, run \"fibersock conform drive %s\"; for others see \"fibersock help conform client\"", url)
	j.note("the report is at %s", page)
}

// complete reports whether there are clients and each ran all cases. It shows
// the missing ones.
func (j *judging) complete(all map[string][]*conform.Result) bool {
	complete := len(all) > 0
	if !complete {
		j.note("no client ran a case")
	}
	for _, agent := range slices.Sorted(maps.Keys(all)) {
		if n := len(all[agent]); n < len(j.cases) {
			j.note("%.100q ran only %d of %d cases", agent, n, len(j.cases))
			complete = false
		}
	}
	return complete
}
