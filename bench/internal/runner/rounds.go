package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// order returns the order of n peers in a round, from 1. Each round begins with
// another peer, so that none always follows the same one.
func order(n, round int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = (i + round - 1) % n
	}
	return indices
}

// rounds runs all rounds of all scenarios: the first of each, then the second
// of each, so that the rounds of one scenario are minutes apart, and an
// interrupted run has something of each. It ends early when ctx does.
func (b *Bench) rounds(ctx context.Context) {
	b.progress.begin()
	for _, p := range b.plans {
		b.results.Scenarios = append(b.results.Scenarios, b.scenario(p))
	}
	done := b.roundsAfter(ctx, 0)
	if b.Gate > 0 && ctx.Err() == nil {
		b.addRounds(done)
		b.roundsAfter(ctx, done)
	}
}

// roundsAfter runs the rounds after the one with the number done. It returns the
// number of the last.
func (b *Bench) roundsAfter(ctx context.Context, done int) (last int) {
	for _, p := range b.plans {
		last = max(last, p.rounds)
	}
	for round := done + 1; round <= last; round++ {
		for i, p := range b.plans {
			if round > p.rounds {
				continue
			}
			for _, j := range order(len(b.peersOf(p)), round) {
				if ctx.Err() != nil {
					return last
				}
				b.progress.at(fmt.Sprintf("round %d of %d: %s", round, p.rounds, p.name), b.peersOf(p)[j].Name)
				b.turn(ctx, p, b.peersOf(p)[j], round, &b.results.Scenarios[i].Outcomes[j])
				b.progress.add(p.estimate())
			}
		}
	}
	return last
}

// addRounds adds rounds after the one with the number done to the scenarios with
// a ratio over the gate, twice as many as they had: the median of few rounds may
// be over it by chance.
func (b *Bench) addRounds(done int) {
	over := make(map[string]bool)
	for _, c := range b.results.Changes() {
		over[c.Scenario] = over[c.Scenario] || c.Over(b.Gate)
	}
	for i := range b.plans {
		p := &b.plans[i]
		if !over[p.name] {
			continue
		}
		more := 2 * p.rounds
		p.rounds = done + more
		b.results.Scenarios[i].Rounds += more
		b.progress.total += time.Duration(more*len(b.peersOf(*p))) * p.estimate()
	}
}

func (b *Bench) scenario(p plan) report.Scenario {
	s := report.Scenario{
		Name: p.name, Title: p.title, Detail: p.detail(), Unit: p.unit(), Primary: p.primary(), Clients: p.kind == client, Rounds: p.rounds,
	}
	for _, peer := range b.peersOf(p) {
		o := report.Outcome{Peer: peer.Name}
		if peer.Missing != "" {
			o.Absent = "not built: " + peer.Missing
		}
		s.Outcomes = append(s.Outcomes, o)
	}
	return s
}

// turn is one run of one peer. A peer that has failed in a scenario is not run
// again: it gets no figures.
func (b *Bench) turn(ctx context.Context, p plan, peer *peer, round int, o *report.Outcome) {
	if o.Failed != "" || o.Absent != "" {
		return
	}
	limit := b.limit(p)
	limited, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("not finished in %v, although estimated at %v: the processors are busy with other work", limit.Round(time.Second), p.estimate().Round(time.Second)))
	defer cancel()
	figures, err := b.run(limited, p, peer)
	if err != nil && limited.Err() != nil && !errors.Is(err, context.Cause(limited)) {
		err = errors.Join(context.Cause(limited), err)
	}
	var absent *absentError
	switch {
	case ctx.Err() != nil: // half a run is none
	case errors.As(err, &absent):
		o.Absent = absent.reason
	case err != nil:
		o.Failed = oneLine(err)
		if round > 1 {
			o.Failed = fmt.Sprintf("in round %d: %s", round, o.Failed)
		}
		b.progress.say("%s: %s failed: %s", p.name, peer.Name, o.Failed)
	default:
		o.Runs = append(o.Runs, report.Run{Round: round, Figures: figures.Rounded()})
	}
}
