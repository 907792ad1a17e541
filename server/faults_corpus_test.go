package server_test

import (
	"testing"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wstest"
)

// The server passes the golden corpus over TCP, read by a client, on each loop,
// with the bytes whole and in pieces.
func TestGoldenCorpusOverTCP(t *testing.T) {
	t.Parallel()
	scripts, err := corpus.Scripts()
	check.Must(t, err)
	plans := map[string]wstest.Plan{
		"whole":     {},
		"in pieces": {ToServer: wstest.Faults{Split: wstest.RandomSizes(5)}, ToClient: wstest.Faults{Split: wstest.Sizes(1)}, Seed: 1},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for name, plan := range plans {
			t.Run(name, func(t *testing.T) {
				worlds := map[server.Limits]world{}
				for _, script := range scripts {
					if script.Role != corpus.Server || needsCalls(script) || len(script.Input()) > 10_000 {
						continue
					}
					limits := server.Limits{Frame: script.FrameLimit, Message: script.MessageLimit}
					w, ok := worlds[limits]
					if !ok {
						w = throughRelay(start)(t, &server.Server{Limits: limits}, func(int) wstest.Plan { return plan })
						worlds[limits] = w
					}
					nc := w.dial()
					p := wstest.NewClient(nc)
					err := p.Play("open /")
					if err == nil {
						err = p.PlayCorpus(script)
					}
					if err != nil {
						t.Errorf("%q: %v", script.Name, err)
					}
					p.Close()
				}
			})
		}
	})
}

// needsCalls reports whether a script has an action of the application.
func needsCalls(s *corpus.Script) bool {
	for _, step := range s.Steps {
		if k := step.Action.Kind; k != corpus.Input && k != corpus.EOF {
			return true
		}
	}
	return false
}
