package corpustest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/wire"
)

// puppet is a subject whose results the test sets.
type puppet struct {
	does   Observation // at the next Observe
	call   error
	smudge bool // changes the bytes of calls
	inputs [][]byte
}

func (p *puppet) Input(b []byte) { p.inputs = append(p.inputs, bytes.Clone(b)) }
func (p *puppet) EOF()           {}
func (p *puppet) Close()         {}

func (p *puppet) Call(a corpus.Action) error {
	if p.smudge {
		a.Bytes[0] ^= 1
	}
	return p.call
}

func (p *puppet) Observe() Observation {
	o := p.does
	p.does = Observation{State: o.State}
	return o
}

// The error names the line and the difference.
func TestDeviationFromScriptIsFound(t *testing.T) {
	message := func(text string) corpus.Event {
		return corpus.Event{Kind: corpus.Message, Opcode: wire.Text, Payload: []byte(text)}
	}
	partial := func(text string) corpus.Event {
		return corpus.Event{Kind: corpus.Partial, Opcode: wire.Text, Payload: []byte(text)}
	}
	const (
		client = "== s [6455-5.2-a]\nrole client\n" // two lines
		server = "== s [6455-5.2-a]\nrole server\n"
		pieces = "== s [6455-5.2-a]\nrole client\npartial\n" // three
	)
	tests := []struct {
		name   string
		script string
		does   puppet
		want   string // in the error; "": none
	}{
		{"nothing", client + "in 81\n", puppet{}, ""},
		{"event", client + "in 81\nevent message text \"a\"\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, ""},
		{"no event", client + "in 81\nevent message text \"a\"\n", puppet{}, `x.txt:4: want the event message text "a", got none`},
		{"other event", client + "in 81\nevent ping\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, `x.txt:4: want the event ping "", got message text "a"`},
		{"other payload", client + "in 81\nevent message text \"b\"\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, `x.txt:4: want`},
		{"other code", client + "in 81\nevent fail 1002\n", puppet{does: Observation{Events: []corpus.Event{{Kind: corpus.Fail, Code: 1007}}}}, `x.txt:4: want the event fail 1002, got fail 1007`},
		{"event too much", client + "in 81\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, `x.txt:3: after in: want no event more, got message text "a"`},
		{"wrong order", client + "in 81\nevent ping\nevent message text \"a\"\n", puppet{does: Observation{Events: []corpus.Event{message("a"), {Kind: corpus.Ping}}}}, `x.txt:4: want the event ping "", got message text "a"`},
		{"pieces", pieces + "in 81\nevent partial text more \"ab\"\n", puppet{does: Observation{Events: []corpus.Event{partial("a"), partial("b")}}}, ""},
		{"whole message for pieces", pieces + "in 81\nevent partial text final \"a\"\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, ""},
		{"whole message that is not", pieces + "in 81\nevent partial text more \"a\"\n", puppet{does: Observation{Events: []corpus.Event{message("a")}}}, `x.txt:5: want the event partial text more "a", got partial text final "a"`},
		{"pieces of a message that fails", pieces + "in 81\nevent fail 1007\n", puppet{does: Observation{Events: []corpus.Event{partial("a"), {Kind: corpus.Fail, Code: 1007}}}}, ""},
		{"lost piece", pieces + "in 81\nevent partial text more \"ab\"\n", puppet{does: Observation{Events: []corpus.Event{partial("a")}}}, `x.txt:5: want the event partial text more "ab", got partial text more "a"`},
		{"frame", server + "ping\nout 8900\n", puppet{does: Observation{Out: []byte{0x89, 0}}}, ""},
		{"no frame", server + "ping\nout 8900\n", puppet{}, `x.txt:4: want the frame 89 00, got none`},
		{"other frame", server + "ping\nout 8900\n", puppet{does: Observation{Out: []byte{0x8a, 0}}}, `x.txt:4: want the frame 89 00, got 8a 00`},
		{"frame too much", server + "ping\n", puppet{does: Observation{Out: []byte{0x89, 0}}}, `x.txt:3: after ping: want no frame more, got 89 00`},
		{"half a frame", server + "ping\n", puppet{does: Observation{Out: []byte{0x89}}}, `x.txt:3: after ping: want whole frames, got at the end 89`},
		{"masked frame of a server", server + "ping\nout 8900\n", puppet{does: Observation{Out: []byte{0x89, 0x80, 0, 0, 0, 0}}}, `x.txt:4: a frame from a server is masked`},
		{"masked frame", client + "ping \"a\"\nout 898100000000\"a\"\n", puppet{does: Observation{Out: []byte{0x89, 0x81, 1, 2, 3, 4, 'a' ^ 1}}}, ""},
		{"unmasked frame of a client", client + "ping\nout 898000000000\n", puppet{does: Observation{Out: []byte{0x89, 0}}}, `x.txt:4: a frame from a client is not masked`},
		{"one key twice", client + "ping\nout 8980000000008980 00000000\n", puppet{does: Observation{Out: []byte{0x89, 0x80, 1, 2, 3, 4, 0x89, 0x80, 1, 2, 3, 4}}}, `x.txt:4: a frame has the masking key of the frame before`},
		{"close with a reason", server + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x88\x05\x03\xeawhy")}}, ""},
		{"masked close with a reason", client + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x88\x83\x01\x00\x00\x00\x02\xeaw")}}, ""},
		{"close with another code", server + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x88\x02\x03\xe8")}}, `x.txt:4: want the frame close 1002, got 88 02 03 e8`},
		{"close without code", server + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x88\x00")}}, `x.txt:4: want the frame close 1002`},
		{"close with a bad reason", server + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x88\x03\x03\xea\xff")}}, `x.txt:4: want the frame close 1002`},
		{"no close", server + "in 81\nout close 1002\n", puppet{does: Observation{Out: []byte("\x89\x02\x03\xea")}}, `x.txt:4: want the frame close 1002`},
		{"other state", client + "in 81\nstate open\n", puppet{does: Observation{State: corpus.Closed}}, `x.txt:3: after in: want the state open, got closed`},
		{"call that fails", client + "ping\n", puppet{call: errors.New("no")}, `x.txt:3: ping: want no error, got no`},
		{"call that is not refused", client + "ping error\n", puppet{}, `x.txt:3: ping: want an error, got none`},
		{"refused call", client + "ping error\n", puppet{call: errors.New("no")}, ""},
		{"call that changes its bytes", client + "ping \"a\"\n", puppet{smudge: true}, `x.txt:3: ping: the caller's bytes were changed`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := play(parse(t, tt.script), &tt.does, split{}, nil)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got the error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestEventsThatAnAPIDoesNotShowAreNotWanted(t *testing.T) {
	s := parse(t, "== s [6455-5.2-a]\nrole server\nin 81\nevent ping\n")
	pings := func(_ *corpus.Script, kind corpus.EventKind) bool { return kind == corpus.Ping }
	if err := play(s, &puppet{}, split{}, pings); err != nil {
		t.Error(err)
	}
	if err := play(s, &puppet{}, split{}, nil); err == nil {
		t.Error("without unseen events, the missing Ping is not found")
	}
}

// However the input is cut, it stays the same, and the same seed cuts it the
// same way.
func TestSplitKeepsTheInput(t *testing.T) {
	s := parse(t, "== s [6455-5.2-a]\nrole server\nin 00*70000 \"abc\"\nstate open\nin \"def\"\n")
	splits := []split{{}, {kind: bytewise}}
	for seed := range uint64(20) {
		splits = append(splits, split{kind: random, seed: seed})
	}
	for _, split := range splits {
		var runs [2]puppet
		for i := range runs {
			runs[i].does.State = corpus.Open
			if err := play(s, &runs[i], split, nil); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(bytes.Join(runs[0].inputs, nil), s.Input()) {
			t.Errorf("%v: the input has changed", split)
		}
		if !bytes.Equal(bytes.Join(runs[0].inputs, []byte("|")), bytes.Join(runs[1].inputs, []byte("|"))) {
			t.Errorf("%v: two ways of cutting", split)
		}
		if n := len(runs[0].inputs); split.kind == whole && n != 2 || split.kind == bytewise && n != len(s.Input()) {
			t.Errorf("%v: %d pieces", split, n)
		}
	}
}

// Small scripts are cut at every place by some of the splits that a runner
// uses.
func TestSplitsReachEveryPlace(t *testing.T) {
	group := make([]byte, 20)
	seen := make(map[int]bool)
	for seed := range uint64(8) {
		at := 0
		for _, piece := range (split{kind: random, seed: seed}).cutter()(group) {
			at += len(piece)
			seen[at] = true
		}
	}
	if len(seen) != len(group) {
		t.Errorf("8 random splits cut 20 bytes at %d places", len(seen))
	}
}

func parse(t *testing.T, text string) *corpus.Script {
	t.Helper()
	scripts, err := corpus.Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	return scripts[0]
}
