package load

import (
	"context"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// blockingPayload is the message at which the suite's servers sleep for
// blockingTime before they echo it.
var blockingPayload = []byte("B: the handler of this one sleeps")

const blockingTime = time.Second

// echo is the closed loop: for each reply the next message.
type echo struct {
	run      *run
	meter    meter
	unopened int
	blocking *script // connections whose messages make the handler sleep
}

// Echo runs a closed loop of messages and replies. The error is a *Fault for
// the first thing on a connection that was not right, or ctx's cause, or about
// c.
func Echo(ctx context.Context, c Config) (*Result, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	e := &echo{unopened: c.Conns}
	e.run = newRun(c, e, newScript(c, stampPlace(c.Opcode, c.Payload)))
	e.meter.run = e.run
	if c.Blocking > 0 {
		e.block(min(max(int(c.Blocking*float64(c.Conns)+0.5), 1), c.Conns))
	}
	return e.run.move(ctx)
}

// block makes n connections, evenly distributed, send the message for which the
// handler sleeps. The patience of all connections covers all sleeps in a row: a
// server whose handlers wait for one another is slow, not dead.
func (e *echo) block(n int) {
	sessions := e.run.sessions
	e.blocking = newScript(Config{Opcode: wire.Binary, Payload: blockingPayload, Fragments: 1, InFlight: 1, Conns: n, Deflate: e.run.Deflate, reach: maxWindow}, 1)
	for i := range n {
		sessions[i*len(sessions)/n].script = e.blocking
	}
	for i := range sessions {
		sessions[i].patience += time.Duration(n) * blockingTime
	}
}

func (e *echo) opened(_ *session, now time.Duration) {
	e.unopened--
	if e.unopened > 0 {
		return
	}
	e.meter.begin(now)
	for i := range e.run.sessions {
		s := &e.run.sessions[i]
		if s.script == e.blocking {
			s.issue(1, now)
		} else {
			s.issue(e.run.InFlight, now)
		}
	}
}

func (e *echo) replied(s *session, n int, now time.Duration) {
	if e.meter.stage == measuring {
		e.count(s, n, now)
	}
	switch {
	case e.meter.stage != finished:
		s.issue(n, now)
	case s.received == s.due:
		s.close(now)
	}
}

func (e *echo) count(s *session, n int, now time.Duration) {
	if s.script == e.blocking {
		e.run.result.Blocked += int64(n)
		return
	}
	e.meter.count(n, len(s.script.payload))
	for ; n > 0; n-- {
		e.meter.latency(s.issuedAt(n), now)
	}
}

func (e *echo) tick(now time.Duration) { e.meter.tick(now) }

func (e *echo) ended(*session, time.Duration) { e.run.done() }
