package load

import (
	"context"
	"time"
)

// probeEvery is how long the sender first waits for a message to reach all
// before it sends the next, while receivers join.
const probeEvery = 50 * time.Millisecond

// broadcast has one sender and many receivers. A server may add a connection to
// its list after the opening handshake, so the sender first sends until one
// message has reached all. From then on no message may be missing.
type broadcast struct {
	run      *run
	meter    meter
	sender   *session
	inFlight int
	unopened int

	joining    bool
	probeAt    time.Duration
	probeEvery time.Duration

	lacking   []int // receivers that have not got a message, by its number modulo inFlight
	completed int64 // messages that all have got
}

// Broadcast has one connection send and all receive; the next message is sent
// when one has reached all. The error is a *Fault for the first thing on a
// connection that was not right, or ctx's cause, or about c.
func Broadcast(ctx context.Context, c Config) (*Result, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if len(c.Payloads) > 0 || c.Takeover {
		return nil, errTakeover
	}
	stampAt := stampPlace(c.Opcode, c.Payload)
	if stampAt < 0 {
		return nil, errStamp
	}
	sender := c
	sender.Conns = 1
	b := &broadcast{inFlight: c.InFlight, unopened: c.Conns, probeEvery: probeEvery, lacking: make([]int, c.InFlight)}
	b.run = newRun(c, b, newScript(sender, stampAt))
	b.meter.run = b.run
	b.sender = &b.run.sessions[0]
	for i := range b.run.sessions {
		b.run.sessions[i].joining = true
	}
	return b.run.move(ctx)
}

func (b *broadcast) opened(_ *session, now time.Duration) {
	b.unopened--
	if b.unopened == 0 {
		b.joining = true
		b.probe(now)
	}
}

func (b *broadcast) probe(now time.Duration) {
	b.probeAt = now + b.probeEvery
	b.probeEvery *= 2
	b.send(now)
}

// send sends one message and makes it due for all.
func (b *broadcast) send(now time.Duration) {
	b.lacking[b.sender.due%int64(b.inFlight)] = len(b.run.sessions)
	b.sender.issue(1, now)
	for i := 1; i < len(b.run.sessions); i++ {
		b.run.sessions[i].expect(1, now)
	}
}

// join ends the joining when all have got the last message.
func (b *broadcast) join(now time.Duration) {
	for i := range b.run.sessions {
		if s := &b.run.sessions[i]; s.joining || s.received < s.due {
			if now >= b.probeAt {
				b.probe(now)
			}
			return
		}
	}
	b.joining = false
	b.completed = b.sender.due
	b.meter.begin(now)
	for range b.inFlight {
		b.send(now)
	}
}

func (b *broadcast) replied(s *session, n int, now time.Duration) {
	if b.joining {
		return
	}
	if b.meter.stage == measuring {
		b.meter.count(n, len(s.script.payload))
	}
	for number := s.received - int64(n); number < s.received; number++ {
		at := number % int64(b.inFlight)
		if b.meter.stage == measuring {
			b.meter.latency(b.sender.times[at], now)
		}
		if b.lacking[at]--; b.lacking[at] == 0 {
			b.complete(now)
		}
	}
}

// complete continues after a message has reached all receivers.
func (b *broadcast) complete(now time.Duration) {
	b.completed++
	switch {
	case b.meter.stage != finished:
		b.send(now)
	case b.completed == b.sender.due:
		for i := range b.run.sessions {
			b.run.sessions[i].close(now)
		}
	}
}

func (b *broadcast) tick(now time.Duration) {
	if b.joining {
		b.join(now)
	}
	b.meter.tick(now)
}

func (b *broadcast) ended(*session, time.Duration) { b.run.done() }
