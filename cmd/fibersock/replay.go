package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fibersock/fibersock/wire"
)

const replayUsage = `Usage: fibersock replay [flags] FILE URL

Sends the messages that "fibersock connect -record FILE" has sent, with the
times between them, and writes the received messages to standard output. It
waits until as many messages are received as in the recording, for 10 seconds
each. A file without messages is an error.

FILE has lines of JSON, as -json writes them; - is standard input. Only the
fields time, direction, type, text and data are used.
`

// recording is the messages of a recorded connection.
type recording struct {
	sent     []recordedMessage
	received []outgoing
}

// recordedMessage is a message at a time after the opening of the connection.
type recordedMessage struct {
	outgoing
	after time.Duration
}

// replayOptions are the flags of replay.
type replayOptions struct {
	*connectOptions
	speed   float64
	compare bool
}

func replayFlags() (*flag.FlagSet, *replayOptions) {
	o := &replayOptions{connectOptions: newConnectOptions()}
	flags := newFlags("replay", replayUsage, exitCodes)
	o.addConnection(flags)
	o.addOutput(flags)
	flags.Float64Var(&o.speed, "speed", 1, "divide the times between messages by this `factor`; 0: send without a pause")
	flags.BoolVar(&o.compare, "compare", false, "compare the received messages with those of the recording: exit code 9 if they differ")
	return flags, o
}

// replay is the subcommand.
func replay(ctx context.Context, args []string, std streams) exitCode {
	flags, o := replayFlags()
	rest, err := parse(flags, args)
	switch {
	case err != nil:
	case len(rest) != 2:
		err = usagef("replay takes a file and a URL, not %s", plural(int64(len(rest)), "argument"))
	case !(o.speed >= 0):
		err = usagef("-speed takes a factor that is not negative, not %v", o.speed)
	default:
		err = o.check(flags)
	}
	if err == nil {
		err = untilInterrupted(ctx, func() (err error) {
			o.replay, err = o.openRecording(rest[0], std.in)
			return err
		})
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	std.inTerminal = false
	return o.run(ctx, rest[1], std, func(s *session) source {
		s.compare = o.compare
		return o.replay.source(o.speed, s.opened, s.done)
	})
}

// openRecording reads a file of -record, or in for "-".
func (o *connectOptions) openRecording(name string, in io.Reader) (*recording, error) {
	if name == "-" {
		return readRecording("standard input", in, o.sendLimit())
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readRecording(name, file, o.sendLimit())
}

// readRecording reads the lines of -record, each up to a limit. name is for
// errors.
func readRecording(name string, in io.Reader, limit inputLimit) (*recording, error) {
	r := new(recording)
	reader := bufio.NewReader(in)
	var start time.Time
	for number := 1; ; number++ {
		line, ok, err := limit.readLine(reader)
		if ok && len(bytes.TrimSpace(line)) > 0 {
			if err := r.add(line, &start); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, number, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF) && len(r.sent)+len(r.received) == 0:
			return nil, fmt.Errorf("%s has no messages: a recording is a file of -record, or the output of -json", name)
		case errors.Is(err, io.EOF):
			return r, nil
		case err != nil:
			return nil, fmt.Errorf("%s, line %d: %w", name, number, err)
		}
	}
}

// add adds a line. start is the time of the first.
func (r *recording) add(line []byte, start *time.Time) error {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return err
	}
	if start.IsZero() {
		*start = at
	}
	var m outgoing
	switch {
	case e.Type == "text" && e.Text != nil:
		m = outgoing{op: wire.Text, payload: []byte(*e.Text)}
	case e.Type == "binary" && e.Data != nil:
		m = outgoing{op: wire.Binary, payload: *e.Data}
	default:
		return nil // another event
	}
	switch e.Direction {
	case "out":
		r.sent = append(r.sent, recordedMessage{m, at.Sub(*start)})
	case "in":
		r.received = append(r.received, m)
	}
	return nil
}

// source returns the sent messages at their times after start, faster by a
// factor.
func (r *recording) source(speed float64, start time.Time, done <-chan struct{}) source {
	sent := r.sent
	return func() (outgoing, bool, error) {
		if len(sent) == 0 {
			return outgoing{}, false, io.EOF
		}
		m := sent[0]
		sent = sent[1:]
		if speed > 0 {
			pause := time.NewTimer(time.Until(start.Add(time.Duration(float64(m.after) / speed))))
			defer pause.Stop()
			select {
			case <-pause.C:
			case <-done:
				return outgoing{}, false, io.EOF
			}
		}
		return m.outgoing, true, nil
	}
}

// difference returns the difference between the message received as the nth and
// that of the recording, "" if there is none.
func (r *recording) difference(n int, op wire.Opcode, payload []byte) string {
	switch {
	case n > len(r.received):
		return fmt.Sprintf("message %d is not in the recording", n)
	case r.received[n-1].op != op:
		return fmt.Sprintf("message %d is %s, and %s in the recording", n, op, r.received[n-1].op)
	case !bytes.Equal(r.received[n-1].payload, payload):
		return fmt.Sprintf("message %d differs from the recording", n)
	}
	return ""
}
