package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
)

// A codec compresses, or inflates, one message after the other. Its result is
// the number of bytes that it produced.
type codec func(p []byte) (int, error)

// A contender is one implementation in one comparison.
type contender struct {
	name string
	open func() (codec, error) // for one connection
}

// figure is the result of one contender.
type figure struct {
	name   string
	bytes  float64   // per message
	nanos  []float64 // processor time per message, of each round
	ratios []float64 // ours / this one, of each round
}

// streams has the messages that each of so many connections sends.
type streams struct {
	messages    [][]byte
	connections int
}

// compare measures all contenders, of which the first is ours, in rounds that
// alternate between them.
func compare(s streams, list []contender, rounds int, least time.Duration) ([]figure, error) {
	figures := make([]figure, len(list))
	runs := make([]*run, len(list))
	for i, c := range list {
		r, err := newRun(s, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		runs[i] = r
		figures[i].name = c.name
		if figures[i].bytes, err = r.pass(); err != nil { // warms up, and measures the bytes
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range rounds {
		for k := range list {
			i := (k + round) % len(list)
			nanos, err := runs[i].measure(least)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[i].name, err)
			}
			figures[i].nanos = append(figures[i].nanos, nanos)
		}
		for i := range figures {
			figures[i].ratios = append(figures[i].ratios, figures[0].nanos[round]/figures[i].nanos[round])
		}
	}
	return figures, nil
}

// run has the open connections of a contender.
type run struct {
	streams
	codecs []codec
	next   int // number of messages that each connection has sent
}

func newRun(s streams, c contender) (*run, error) {
	r := &run{streams: s}
	for range s.connections {
		open, err := c.open()
		if err != nil {
			return nil, err
		}
		r.codecs = append(r.codecs, open)
	}
	return r, nil
}

// turn sends a message on each connection: the first one begins with message 0,
// the second with message 1, and so on.
func (r *run) turn() (bytes int, err error) {
	for k, c := range r.codecs {
		n, err := c(r.messages[(r.next+k)%len(r.messages)])
		if err != nil {
			return 0, err
		}
		bytes += n
	}
	r.next++
	return bytes, nil
}

// fill is the number of messages that a connection sends before the bytes of
// its messages are counted, if there are many connections: more than a window of
// 12 bits holds.
const fill = 40

// pass fills the windows and returns the mean number of bytes of the following
// messages.
func (r *run) pass() (float64, error) {
	turns := len(r.messages)
	if len(r.codecs) > 1 {
		turns = 2
		for range fill {
			if _, err := r.turn(); err != nil {
				return 0, err
			}
		}
	}
	total := 0
	for range turns {
		n, err := r.turn()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return float64(total) / float64(turns*len(r.codecs)), nil
}

// measure sends messages for at least the time and returns the processor time of
// a message, of all threads: a collection of garbage counts.
func (r *run) measure(least time.Duration) (float64, error) {
	runtime.GC()
	first, before, begun := r.next, processorTime(), time.Now()
	if before == 0 {
		return 0, errors.New("the system does not tell the processor time")
	}
	for {
		if _, err := r.turn(); err != nil {
			return 0, err
		}
		if (r.next%16 == 0 || len(r.codecs) > 1) && time.Since(begun) > least {
			break
		}
	}
	return float64(processorTime()-before) / float64((r.next-first)*len(r.codecs)), nil
}

// processorTime returns the processor time of this process, 0 if the system does
// not tell it.
func processorTime() time.Duration {
	user, system := usage.CPU()
	return user + system
}
