package load

import (
	"context"
	"time"
)

// churn has each session go through a connection's whole life again and again.
type churn struct {
	run   *run
	meter meter
}

// Churn opens connections, has messages echoed on each and closes them, and
// again. The error is a *Fault for the first thing on a connection that was not
// right, or ctx's cause, or about c.
func Churn(ctx context.Context, c Config) (*Result, error) {
	c.InFlight = 1
	if err := c.check(); err != nil {
		return nil, err
	}
	ch := new(churn)
	ch.run = newRun(c, ch, newScript(c, stampPlace(c.Opcode, c.Payload)))
	ch.meter.run = ch.run
	return ch.run.move(ctx)
}

func (c *churn) opened(s *session, now time.Duration) {
	if c.meter.stage == waiting {
		c.meter.begin(now)
	}
	s.issue(1, now)
}

func (c *churn) replied(s *session, _ int, now time.Duration) {
	if s.received < int64(c.run.PerConn) {
		s.issue(1, now)
		return
	}
	s.close(now)
}

func (c *churn) ended(s *session, now time.Duration) {
	switch c.meter.stage {
	case measuring:
		c.meter.count(1, c.run.PerConn*len(s.script.payload))
		c.meter.latency(s.began, now)
	case finished:
		c.run.done()
		return
	case waiting, warming:
	}
	s.open(now)
}

func (c *churn) tick(now time.Duration) { c.meter.tick(now) }
