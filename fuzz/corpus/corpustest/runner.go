// Package corpustest plays the golden corpus to an endpoint: the engine, the
// client, the server, or another implementation. It plays every script with its
// input whole, byte by byte and cut at random places, and expects the same
// results. It lies beside package corpus because it imports package testing.
package corpustest

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/fuzz/corpus"
)

// Subject is one open connection under test, seen from its peer and from its
// application.
type Subject interface {
	// Input lets the peer send b, which the subject may change.
	Input(b []byte)

	// EOF lets the peer's transport end.
	EOF()

	// Call makes a call of the application and returns its error.
	Call(a corpus.Action) error

	// Observe waits until all effects of the calls so far have occurred, and
	// returns the results since the last Observe.
	Observe() Observation

	// Close ends the connection and releases its resources.
	Close()
}

// Observation is the results of an endpoint.
type Observation struct {
	Events []corpus.Event
	Out    []byte // written to the peer
	State  corpus.State
}

// State returns s as a script has it.
func State(s endpoint.State) corpus.State {
	switch s {
	case endpoint.Open:
		return corpus.Open
	case endpoint.CloseSent:
		return corpus.CloseSent
	default: // endpoint.Closed
		return corpus.Closed
	}
}

// Runner plays the corpus to one kind of endpoint.
type Runner struct {
	// Open returns a new connection for a script's role, limits and kind of
	// delivery.
	Open func(t *testing.T, s *corpus.Script) Subject

	// Unfit returns why the endpoint's API cannot express the script, or "".
	// If nil, all scripts are played.
	Unfit func(s *corpus.Script) string

	// Unseen reports whether the endpoint's API does not show events of a
	// kind in a script. If nil, it shows all.
	Unseen func(s *corpus.Script, kind corpus.EventKind) bool

	// Bubble has each script played in a bubble of testing/synctest.
	Bubble bool

	// Random is how many times a script is played with its input cut at
	// random places.
	Random int

	// Bytewise is the size in bytes of the largest input that is played byte
	// by byte. 0: any.
	Bytewise int
}

// Run plays the whole corpus, each script in its own subtest.
func (r Runner) Run(t *testing.T) {
	scripts, err := corpus.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, s := range scripts {
		if r.Unfit != nil && r.Unfit(s) != "" {
			continue
		}
		played++
		t.Run(fmt.Sprintf("%s/%s/%v", s.File, s.Name, s.Role), func(t *testing.T) {
			if r.Bubble {
				synctest.Test(t, func(t *testing.T) { r.playAll(t, s) })
			} else {
				r.playAll(t, s)
			}
		})
	}
	t.Logf("played %d of %d scripts", played, len(scripts))
	if played == 0 {
		t.Error("no script was played")
	}
}

// playAll plays s with every split, up to the first that fails: the other
// failures rarely add information.
func (r Runner) playAll(t *testing.T, s *corpus.Script) {
	for _, split := range r.splits(s) {
		subject := r.Open(t, s)
		err := play(s, subject, split, r.Unseen)
		subject.Close()
		if err != nil {
			t.Errorf("%q as %v, input %v: %v", s.Name, s.Role, split, err)
			return
		}
	}
}

func (r Runner) splits(s *corpus.Script) []split {
	splits := []split{{}}
	size := len(s.Input())
	if size < 2 {
		return splits
	}
	if r.Bytewise == 0 || size <= r.Bytewise {
		splits = append(splits, split{kind: bytewise})
	}
	for seed := range r.Random {
		splits = append(splits, split{kind: random, seed: uint64(seed)})
	}
	return splits
}
