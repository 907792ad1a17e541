package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// session is the work of connect, from the open connection to the exit code. It
// has three goroutines, so that neither a slow server nor a slow reader of the
// output blocks the others:
//
//	run          shows messages, waits, closes
//	receive      receives messages
//	readInput    reads lines, sends them, runs commands
type session struct {
	link    *link
	out     *output
	options *connectOptions
	next    source // readInput's
	opened  time.Time
	compare bool // end if a message is not that of the recording

	progress     *progress // of the connection
	sentData     traffic
	receivedData traffic
	roundTrip    atomic.Int64 // a time.Duration, the last one; 0: none

	messages chan client.Message // from receive
	lost     chan error          // from receive, once a connection: the cause of its end
	replaced chan replaced       // from reconnect
	input    chan inputEnd       // from readInput, once
	problems chan ending         // early ends, of any goroutine
	done     chan struct{}       // closed when run returns

	// The rest belongs to run.
	quiet    *time.Timer // fires at the end of the wait for a message; stopped until the end of input
	waiting  time.Duration
	inputEnd bool
	matched  bool          // a message matches -until
	ending   *ending       // nil while this side does not close
	closed   chan struct{} // closed when the closing handshake that it began is over
}

// traffic counts messages of one direction, without control frames.
type traffic struct{ messages, bytes atomic.Int64 }

func (t *traffic) count(payload []byte) {
	t.messages.Add(1)
	t.bytes.Add(int64(len(payload)))
}

func (t *traffic) String() string {
	return fmt.Sprintf("%s, %s", plural(t.messages.Load(), "message"), plural(t.bytes.Load(), "byte"))
}

// plural returns a number with a noun in the singular or plural.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ending is a Close of this side, and its cause.
type ending struct {
	code   wire.StatusCode // 0: a Close without a code
	reason string
	exit   exitCode
	err    error // shown to the user, if not nil
}

func newSession(link *link, out *output, o *connectOptions) *session {
	s := &session{
		link: link, out: out, options: o,
		opened:   time.Now(),
		messages: make(chan client.Message),
		lost:     make(chan error, 1),
		replaced: make(chan replaced, 1),
		input:    make(chan inputEnd, 1),
		problems: make(chan ending),
		done:     make(chan struct{}),
		quiet:    time.NewTimer(time.Hour),
		closed:   make(chan struct{}),
	}
	s.quiet.Stop()
	return s
}

// run runs until the end of the connection, and returns the exit code.
func (s *session) run(ctx context.Context) exitCode {
	defer close(s.done)
	defer s.quiet.Stop()
	defer s.out.stopEditing()
	go s.receive(s.link.get())
	go s.readInput()
	if s.options.ping > 0 {
		go s.pingEvery(s.options.ping)
	}
	interrupted := ctx.Done()
	for {
		select {
		case m := <-s.messages:
			s.show(m)
		case err := <-s.lost:
			if !s.options.reconnect || s.ending != nil || !replaceable(err) {
				return s.ended(err)
			}
			s.link.set(nil)
			s.out.happened(closeEvent(err, nil, exitLost))
			go s.reconnect()
		case r := <-s.replaced:
			if s.ending != nil || r.err != nil {
				return s.endedInOutage(r.err)
			}
			s.link.set(r.conn)
			go s.receive(r.conn)
		case end := <-s.input:
			s.inputEnded(end)
		case <-s.quiet.C:
			s.waitedEnough()
		case e := <-s.problems:
			s.finish(e)
		case <-interrupted:
			interrupted = nil
			s.finish(ending{code: wire.GoingAway, exit: exitInterrupted})
		}
	}
}

// receive receives messages until the connection ends.
func (s *session) receive(c *client.Conn) {
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			s.lost <- err
			return
		}
		select {
		case s.messages <- m:
		case <-s.done:
			return
		}
	}
}

// show shows a message or control frame.
func (s *session) show(m client.Message) {
	if m.Opcode == wire.Close || s.complete() {
		return // the end follows, with its code and reason
	}
	if err := s.out.message("in", m.Opcode, m.Payload); err != nil {
		s.finish(outputEnding(err))
		return
	}
	if !m.Opcode.IsData() {
		return
	}
	s.receivedData.count(m.Payload)
	s.matched = s.options.until.matches(m.Payload)
	switch n := int(s.receivedData.messages.Load()); {
	case s.compare && s.options.replay.difference(n, m.Opcode, m.Payload) != "":
		s.finish(ending{code: wire.NormalClosure, exit: exitDiffers, err: errors.New(s.options.replay.difference(n, m.Opcode, m.Payload))})
	case s.complete():
		s.finish(s.options.closing.ending())
	case s.inputEnd:
		s.beginWaiting()
	}
}

// complete reports whether all messages of -expect or -until were received.
func (s *session) complete() bool {
	n := s.options.expect
	return s.matched || n > 0 && s.receivedData.messages.Load() >= int64(n)
}

// incomplete returns the error that -expect or -until is not met, nil if it is.
func (s *session) incomplete() error {
	switch received := s.receivedData.messages.Load(); {
	case s.complete():
	case s.options.expect > 0:
		return fmt.Errorf("%d of %d messages were received (-expect)", received, s.options.expect)
	case s.options.until.set():
		return fmt.Errorf("none of %s matches -until", plural(received, "message"))
	}
	return nil
}

// outputEnding returns the end for standard output or a recording that cannot
// be written. A closed pipe is not reported.
func outputEnding(err error) ending {
	e := ending{code: wire.GoingAway, exit: exitUsage, err: err}
	if isBrokenPipe(err) {
		e.err = nil
	}
	return e
}

// inputEnded starts the wait for further messages at the end of the input.
func (s *session) inputEnded(end inputEnd) {
	if end.ending != nil {
		s.finish(*end.ending)
		return
	}
	s.inputEnd = true
	s.beginWaiting()
}

// beginWaiting starts the wait for another message anew.
func (s *session) beginWaiting() {
	if s.waiting = s.options.waitTime(s.replyDue(), s.out.interactive); s.waiting >= 0 {
		s.quiet.Reset(s.waiting)
	}
}

// replyDue reports whether it is likely that a message of the server is still
// on its way after the end of input: none was received yet, or fewer than were
// sent. In a replay the recording shows how many there are.
func (s *session) replyDue() bool {
	received := s.receivedData.messages.Load()
	if received == 0 && s.options.replay == nil {
		return true
	}
	return received < s.options.due(s.sentData.messages.Load())
}

// waitedEnough ends the session after a wait without a message.
func (s *session) waitedEnough() {
	e := s.options.closing.ending()
	if err := s.incomplete(); err != nil {
		e.exit = exitTimeout
		e.err = fmt.Errorf("%w, then none for %v (-wait)", err, s.waiting)
	} else if !s.options.waitSet && !s.out.interactive && s.replyDue() {
		s.out.note("fibersock: no message for %v after the end of input; sent %s, received %s. -wait sets the time, -expect makes this an error.",
			s.waiting, plural(s.sentData.messages.Load(), "message"), fmt.Sprint(s.receivedData.messages.Load()))
	}
	s.finish(e)
}

// finish begins the closing handshake, unless one is under way. Messages may
// still arrive. receive reports the end.
func (s *session) finish(e ending) {
	if s.ending != nil {
		return
	}
	s.ending = &e
	s.quiet.Stop()
	s.out.stopEditing() // a second interrupt ends the process
	c := s.link.get()
	if c == nil {
		s.link.cancel() // reconnect reports the end
		return
	}
	go func() {
		defer close(s.closed)
		c.Close(e.code, e.reason) // its error is receive's too
	}()
}

// ended shows the end of the connection, err, and returns the exit code.
func (s *session) ended(err error) exitCode {
	var ours wire.StatusCode
	exit := exitOK
	if s.ending != nil {
		<-s.closed // the server may still have to close TCP
		ours, exit = s.ending.code, s.ending.exit
		if s.ending.err != nil {
			s.out.failure(s.ending.err)
		}
	}
	if exit == exitOK {
		exit = endExitCode(err, ours)
	}
	if exit == exitOK && s.ending == nil && s.incomplete() != nil {
		s.out.failure(s.incomplete())
		exit = exitPeerClosed
	}
	if n := s.receivedData.messages.Load(); exit == exitOK && s.compare && n < s.options.due(0) {
		s.out.failure(fmt.Errorf("%s received, %d in the recording", plural(n, "message"), s.options.due(0)))
		exit = exitDiffers
	}
	s.out.closed(err, s.ending, exit)
	if s.out.broken() != nil && exit == exitOK {
		return exitUsage
	}
	return exit
}

// endedInOutage returns the exit code for the end of the session while there is
// no connection: because of an ending, or of the error of the last try.
func (s *session) endedInOutage(err error) exitCode {
	exit := s.progress.exitCode(err)
	if s.ending != nil {
		err, exit = s.ending.err, s.ending.exit
	}
	if err != nil {
		s.out.failure(err)
	}
	return exit
}

// ping measures a round-trip time, and reports false if there was no Pong in
// time.
func (s *session) ping(patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := s.link.get()
	if c == nil {
		return true // the connection is lost already
	}
	rtt, err := c.Ping(ctx)
	if err == nil {
		s.roundTrip.Store(int64(rtt))
		s.out.roundTrip(rtt)
	}
	return !errors.Is(err, context.DeadlineExceeded)
}

// pingEvery pings until the connection has ended or nothing is received after a
// Ping. Any received frame shows that the server is alive: it may send another
// Pong, or send the Pong late, behind data.
func (s *session) pingEvery(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
		}
		before := s.progress.received.Load()
		if s.ping(interval) || s.progress.received.Load() > before {
			continue
		}
		e := ending{code: wire.GoingAway, exit: exitTimeout, err: fmt.Errorf("no Pong and nothing else within %v of a Ping (-ping)", interval)}
		if c := s.link.get(); s.options.reconnect && c != nil {
			s.out.note("fibersock: %s", e.err)
			c.CloseNow()
			continue
		}
		select {
		case s.problems <- e:
		case <-s.done:
		}
		return
	}
}
