package corpustest

import (
	"fmt"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

// checkOut compares the bytes that the endpoint wrote in one step with its
// script. line is the line of the script to which an error belongs.
func (p *player) checkOut(step corpus.Step, written []byte) (line int, err error) {
	frames, rest := corpus.SplitFrames(written)
	for i, want := range step.Out {
		if i >= len(frames) {
			return want.Line, fmt.Errorf("want the frame %v, got none", want)
		}
		got, err := p.written.Plain(frames[i])
		if err != nil {
			return want.Line, fmt.Errorf("%w: %s", err, corpus.Hex(frames[i]))
		}
		if !want.Matches(got) {
			return want.Line, fmt.Errorf("want the frame %v, got %s", want, corpus.Hex(got))
		}
	}
	if len(frames) > len(step.Out) {
		return step.Line, fmt.Errorf("after %v: want no frame more, got %s", step.Action.Kind, corpus.Hex(frames[len(step.Out)]))
	}
	if len(rest) > 0 {
		return step.Line, fmt.Errorf("after %v: want whole frames, got at the end %s", step.Action.Kind, corpus.Hex(rest))
	}
	return 0, nil
}
