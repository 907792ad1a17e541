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

// session is an open connection of connect, from the first line to the exit
// code. It has three goroutines, so that neither a slow server nor a slow
// reader of the output blocks the others:
//
//	run          shows messages, waits, closes
//	receive      receives messages
//	readInput    reads lines, sends them, runs commands
type session struct {
	conn        *client.Conn
	out         *output
	options     *connectOptions
	std         streams
	interactive bool
	received    *atomic.Int64 // bytes from the server

	messages chan client.Message // from receive
	lost     chan error          // from receive, once: the cause of the end
	input    chan inputEnd       // from readInput, once
	problems chan ending         // why to close early, from anywhere
	done     chan struct{}       // closed when run returns

	// The rest is run's.
	messageCount int           // data messages
	quiet        *time.Timer   // fires after the patience without a message; stopped until the end of input
	patience     time.Duration // of quiet; negative: for ever
	inputEnd     bool
	ending       *ending       // why this side closes; nil as long as it does not
	closed       chan struct{} // closed when the closing handshake that it began is over
}

// ending is why and how this side closes the connection.
type ending struct {
	code   wire.StatusCode // 0: a Close without a code
	reason string
	exit   exitCode
	err    error // shown to the user, if not nil
}

func newSession(conn *client.Conn, out *output, o *connectOptions, std streams) *session {
	s := &session{
		conn: conn, out: out, options: o, std: std,
		interactive: std.inTerminal,
		messages:    make(chan client.Message),
		lost:        make(chan error, 1),
		input:       make(chan inputEnd, 1),
		problems:    make(chan ending),
		done:        make(chan struct{}),
		quiet:       time.NewTimer(time.Hour),
		patience:    o.patience(std.inTerminal),
		closed:      make(chan struct{}),
	}
	s.quiet.Stop()
	return s
}

// run runs until the end of the connection, and returns the exit code.
func (s *session) run(ctx context.Context) exitCode {
	defer close(s.done)
	defer s.quiet.Stop()
	go s.receive()
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
			return s.ended(err)
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

// receive takes messages until the connection ends.
func (s *session) receive() {
	for {
		m, err := s.conn.Receive(context.Background())
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
	if m.Opcode == wire.Close || s.expectationMet() {
		return // the end follows, with all that is to be said
	}
	if err := s.out.message("in", m.Opcode, m.Payload); err != nil {
		s.finish(outputEnding(err))
		return
	}
	if !m.Opcode.IsData() {
		return
	}
	s.messageCount++
	switch {
	case s.expectationMet():
		s.finish(ending{code: wire.NormalClosure})
	case s.inputEnd:
		s.beginWaiting()
	}
}

func (s *session) expectationMet() bool {
	return s.options.expect > 0 && s.messageCount >= s.options.expect
}

// outputEnding returns the end for an output that cannot be written to. A
// closed pipe is not reported.
func outputEnding(err error) ending {
	e := ending{code: wire.GoingAway, exit: exitUsage, err: fmt.Errorf("standard output: %w", err)}
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

func (s *session) beginWaiting() {
	if s.patience >= 0 {
		s.quiet.Reset(s.patience)
	}
}

// waitedEnough ends the session after the patience without a message.
func (s *session) waitedEnough() {
	e := ending{code: wire.NormalClosure}
	if s.options.expect > 0 {
		e.exit = exitTimeout
		e.err = fmt.Errorf("%d of %d messages came, then none for %v (-expect, -wait)", s.messageCount, s.options.expect, s.patience)
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
	go func() {
		defer close(s.closed)
		s.conn.Close(e.code, e.reason) // its error is receive's too
	}()
}

// ended tells how the connection ended, for the reason err, and returns the
// exit code.
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
	if exit == exitOK && s.options.expect > s.messageCount && s.ending == nil {
		exit = exitPeerClosed
	}
	s.out.closed(err, s.ending, exit)
	if s.out.broken() != nil && exit == exitOK {
		return exitUsage
	}
	return exit
}

// ping measures a round-trip time, and reports false if there was no Pong in
// time.
func (s *session) ping(patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rtt, err := s.conn.Ping(ctx)
	if err == nil {
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
		before := s.received.Load()
		if s.ping(interval) || s.received.Load() > before {
			continue
		}
		e := ending{code: wire.GoingAway, exit: exitTimeout, err: fmt.Errorf("no Pong and nothing else within %v of a Ping (-ping)", interval)}
		select {
		case s.problems <- e:
		case <-s.done:
		}
		return
	}
}
