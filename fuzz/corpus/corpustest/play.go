package corpustest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

// player plays one script to one subject.
type player struct {
	script  *corpus.Script
	subject Subject
	unseen  func(*corpus.Script, corpus.EventKind) bool
	cut     func([]byte) [][]byte
	written corpus.Written
}

// play plays s to the subject. The error has the line that was violated, the
// expected and the actual result.
func play(s *corpus.Script, subject Subject, split split, unseen func(*corpus.Script, corpus.EventKind) bool) error {
	p := player{script: s, subject: subject, unseen: unseen, cut: split.cutter(), written: corpus.Written{Role: s.Role}}
	for _, step := range s.Steps {
		if line, err := p.step(step); err != nil {
			return fmt.Errorf("%s: %w", s.Position(line), err)
		}
	}
	return nil
}

// step executes an action and checks its results. line is the line of the
// script to which an error belongs.
func (p *player) step(step corpus.Step) (line int, err error) {
	if err := p.act(step.Action); err != nil {
		return step.Line, err
	}
	got := p.subject.Observe()
	if line, err := p.checkEvents(step, got.Events); err != nil {
		return line, err
	}
	if line, err := p.checkOut(step, got.Out); err != nil {
		return line, err
	}
	if step.State != "" && got.State != step.State {
		return step.Line, fmt.Errorf("after %v: want the state %v, got %v", step.Action.Kind, step.State, got.State)
	}
	return 0, nil
}

// act lets the action happen.
func (p *player) act(a corpus.Action) error {
	switch a.Kind {
	case corpus.Input:
		for _, piece := range p.cut(a.Bytes) {
			p.subject.Input(piece)
		}
		return nil
	case corpus.EOF:
		p.subject.EOF()
		return nil
	}
	given := a
	given.Bytes = bytes.Clone(a.Bytes)
	err := p.subject.Call(given)
	switch {
	case err == nil && a.Refused:
		return fmt.Errorf("%v: want an error, got none", a.Kind)
	case err != nil && !a.Refused:
		return fmt.Errorf("%v: want no error, got %w", a.Kind, err)
	case !bytes.Equal(given.Bytes, a.Bytes):
		return fmt.Errorf("%v: the caller's bytes were changed", a.Kind)
	}
	for i := range given.Bytes {
		given.Bytes[i] = 0xaa // they are the caller's again
	}
	return nil
}

// checkEvents compares the events of one step with its script. line is the line
// of the script to which an error belongs.
func (p *player) checkEvents(step corpus.Step, got []corpus.Event) (line int, err error) {
	want := p.comparable(step.Events)
	got = p.comparable(got)
	for i, w := range want {
		switch {
		case i >= len(got):
			return w.Line, fmt.Errorf("want the event %v, got none", w)
		case !sameEvent(w, got[i]):
			return w.Line, fmt.Errorf("want the event %v, got %v", w, got[i])
		}
	}
	if len(got) > len(want) {
		return step.Line, fmt.Errorf("after %v: want no event more, got %v", step.Action.Kind, got[len(want)])
	}
	return 0, nil
}

// comparable returns the events in a form that does not depend on the cuts.
// Consecutive pieces of one message are joined, and a whole message counts as a
// last piece if pieces are expected. The pieces of a failed message are
// omitted, because their number depends on the cuts.
func (p *player) comparable(events []corpus.Event) []corpus.Event {
	var out []corpus.Event
	for _, e := range events {
		if p.unseen != nil && p.unseen(p.script, e.Kind) {
			continue
		}
		last := len(out) - 1
		if e.Kind == corpus.Message && p.script.Partial {
			e.Kind, e.Final = corpus.Partial, true
		}
		follows := last >= 0 && out[last].Kind == corpus.Partial && !out[last].Final
		switch {
		case follows && e.Kind == corpus.Partial && e.Opcode == out[last].Opcode:
			out[last].Payload = slices.Concat(out[last].Payload, e.Payload)
			out[last].Final = e.Final
		case follows && e.Kind == corpus.Fail:
			out[last] = e
		default:
			out = append(out, e)
		}
	}
	return out
}

// sameEvent compares all but the lines.
func sameEvent(a, b corpus.Event) bool {
	return a.Kind == b.Kind && a.Opcode == b.Opcode && a.Final == b.Final &&
		string(a.Payload) == string(b.Payload) && a.Code == b.Code && a.Reason == b.Reason
}
