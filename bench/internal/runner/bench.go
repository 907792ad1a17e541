// Package runner runs the benchmark: it builds and starts the servers, each on
// its own processor, runs the load in rounds that alternate between them, and
// measures their usage.
package runner

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// Options select the parts of a run.
type Options struct {
	Mode       string    // Quick or Full
	Peers      []string  // names of servers and clients; all if empty
	Scenarios  []string  // names; those of Mode if empty
	Rounds     int       // of each scenario; those of Mode if 0
	Conns      int       // of each scenario; its own if 0
	Root       string    // the folder of the module bench
	Progress   io.Writer // for progress output
	Before     string    // a commit, whose server and client of ours take part as well; none if empty
	Gate       float64   // ratio to Before over which a scenario has more rounds; 0: none
	Processors []int     // processors of servers and load together; empty: all of the process
}

// A Bench is one run of the benchmark.
type Bench struct {
	Options
	root     string
	dir      string // for binaries and certificates, and removed at the end
	all      []int
	division division
	files    int                      // that a process may have open; 0: not known
	ports    int                      // for connections to one address; 0: not known
	limit    func(plan) time.Duration // of one run

	cert, key string
	tls       *tls.Config

	servers, clients []*peer
	reference        *peer // the server that clients speak with, once it is needed
	plans            []plan
	progress         *progress
	noise            noise // when the run began
	results          *report.Results
}

// Run runs o. When ctx ends it returns the results so far, without error.
func Run(ctx context.Context, o Options) (*report.Results, error) {
	b, err := newBench(o)
	if err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "fibersock-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.cert, b.key, b.tls, err = certificate(b.dir); err != nil {
		return nil, err
	}
	begun := time.Now()
	b.noise, _ = readNoise() // omitted from the results if unknown
	b.progress = newProgress(o.Progress, b.estimate())
	defer b.progress.end()
	b.results.Revision = revision(ctx, o.Root)
	if err = b.addBefore(ctx); err == nil {
		err = b.build(ctx)
	}
	if err == nil {
		err = b.ask(ctx)
	}
	if err == nil {
		b.rounds(ctx)
		err = ctx.Err()
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	b.conclude(begun, err != nil)
	return b.results, nil
}

func newBench(o Options) (*Bench, error) {
	b := &Bench{Options: o, root: o.Root, all: o.Processors, files: raiseFiles(), ports: localPorts(), limit: plan.limit, results: &report.Results{}}
	var err error
	if len(b.all) == 0 {
		if b.all, err = processors(); err != nil {
			return nil, err
		}
	}
	b.division = divide(b.all)
	if b.servers, b.clients, err = choosePeers(o.Peers); err != nil {
		return nil, err
	}
	b.plans, err = choosePlans(o)
	return b, err
}

// Check finds names that are no peer's or scenario's.
func (o Options) Check() error {
	if _, _, err := choosePeers(o.Peers); err != nil {
		return err
	}
	_, err := choosePlans(o)
	return err
}

// choosePeers returns the peers of these names, all if there are none.
func choosePeers(names []string) (servers_, clients_ []*peer, err error) {
	unknown := make(map[string]bool)
	for _, name := range names {
		unknown[name] = true
	}
	choose := func(all []*peer) []*peer {
		return slices.DeleteFunc(all, func(p *peer) bool {
			delete(unknown, p.Name)
			return len(names) > 0 && !slices.Contains(names, p.Name)
		})
	}
	servers_, clients_ = choose(servers()), choose(clients())
	for name := range unknown {
		return nil, nil, fmt.Errorf("there is no peer %q; there are %s", name, strings.Join(PeerNames(), ", "))
	}
	return servers_, clients_, nil
}

// PeerNames returns the names of all servers.
func PeerNames() (names []string) {
	for _, p := range servers() {
		names = append(names, p.Name)
	}
	return names
}

func choosePlans(o Options) ([]plan, error) {
	var plans []plan
	left := slices.Clone(o.Scenarios)
	for _, s := range scenarios {
		p, ok := planned(s, o.Mode, o.Rounds)
		if o.Conns > 0 && p.kind != client {
			p.conns = o.Conns
		}
		if len(o.Scenarios) > 0 {
			ok = slices.Contains(o.Scenarios, s.name)
			p.rounds = max(p.rounds, 1)
			left = slices.DeleteFunc(left, func(name string) bool { return name == s.name })
		}
		if ok {
			plans = append(plans, p)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("there is no scenario %q; there are %s", left[0], strings.Join(ScenarioNames(), ", "))
	}
	return plans, nil
}

// ScenarioNames returns the names of all scenarios.
func ScenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// estimate is about the time of all runs.
func (b *Bench) estimate() (total time.Duration) {
	for _, p := range b.plans {
		total += time.Duration(p.rounds*len(b.peersOf(p))) * p.estimate()
	}
	return total
}

func (b *Bench) peersOf(p plan) []*peer {
	if p.kind == client {
		return b.clients
	}
	return slices.DeleteFunc(slices.Clone(b.servers), func(q *peer) bool {
		return strings.HasPrefix(q.Name, batched) && p.kind != broadcast || strings.HasPrefix(q.Name, nethttp) && !p.nethttp
	})
}

func (b *Bench) tlsConfig(p plan) *tls.Config {
	if p.tls {
		return b.tls
	}
	return nil
}

// ask starts each server once for its self-description. A server that does not
// start is missing.
func (b *Bench) ask(ctx context.Context) error {
	for _, p := range b.servers {
		if p.Missing != "" {
			continue
		}
		b.progress.at("self-descriptions", p.Name)
		server, err := start(ctx, b.division.server, p.path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.Missing = oneLine(err)
			continue
		}
		h := server.hello
		server.stop()
		p.Version, p.UTF8, p.Loop, p.Notes = h.Version, h.UTF8, h.Loop, h.Notes
	}
	b.servers = slices.DeleteFunc(b.servers, b.isTwin)
	return nil
}

// isTwin reports whether p is the alternate build of ours, or of ours before,
// and equal to the other.
func (b *Bench) isTwin(p *peer) bool {
	return strings.HasPrefix(p.Name, alternate) && slices.ContainsFunc(b.servers, func(q *peer) bool {
		return !strings.HasPrefix(q.Name, alternate) && q.Kind == p.Kind && q.Loop == p.Loop
	})
}

// conclude completes the results.
func (b *Bench) conclude(begun time.Time, interrupted bool) {
	r := b.results
	r.Schema = report.SchemaVersion
	r.Date = begun.UTC().Truncate(time.Second)
	r.Mode = b.Mode
	r.Seconds = time.Since(begun).Round(time.Second).Seconds()
	r.Interrupted = interrupted
	r.Machine = machine(b.all, b.division)
	if after, err := readNoise(); err == nil {
		r.Machine.Others, r.Machine.Stolen = after.since(b.noise, len(b.all))
	}
	for _, p := range b.servers {
		r.Servers = append(r.Servers, p.Peer)
	}
	if slices.ContainsFunc(b.plans, func(p plan) bool { return p.kind == client }) {
		for _, p := range b.clients {
			r.Clients = append(r.Clients, p.Peer)
		}
	}
	r.Summarize()
}

// oneLine is an error on one line of bounded length.
func oneLine(err error) string {
	var absent *absentError
	if errors.As(err, &absent) {
		return absent.reason
	}
	const most = 300
	text := []rune(strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "load: "))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
