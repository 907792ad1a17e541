package load

import (
	"context"
	"fmt"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// probeEvery is how long the sender first waits for a message to reach all
// before it sends the next, while receivers join.
const probeEvery = 50 * time.Millisecond

// broadcast has topics with one sender and many receivers each. A server may add
// a connection to its list after the opening handshake, so the senders first
// send until one message has reached all. From then on no message may be
// missing.
type broadcast struct {
	run      *run
	meter    meter
	inFlight int
	unopened int
	topics   []topic // one if Config.Topics is 0

	joining    bool
	probeAt    time.Duration
	probeEvery time.Duration
}

// topic is one sender with its receivers.
type topic struct {
	sessions  []*session // the first sends
	subscribe []byte     // the frame that subscribes a connection; none if Config.Topics is 0
	lacking   []int      // receivers that have not got a message, by its number modulo inFlight
	completed int64      // messages that all have got
}

// Broadcast has one connection send and all receive; the next message is sent
// when one has reached all. With Topics, that holds for the connections of each
// topic. The error is a *Fault for the first thing on a connection that was not
// right, or ctx's cause, or about c.
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
	b := &broadcast{inFlight: c.InFlight, unopened: c.Conns, probeEvery: probeEvery, topics: make([]topic, max(c.Topics, 1))}
	b.run = newRun(c, b, newScript(sender, stampAt))
	b.meter.run = b.run
	for i := range b.topics {
		t := &b.topics[i]
		t.lacking = make([]int, c.InFlight)
		if c.Topics > 0 {
			t.subscribe = subscribeFrame(i)
		}
	}
	for i := range b.run.sessions {
		s := &b.run.sessions[i]
		s.joining = true
		t := b.topicOf(s)
		t.sessions = append(t.sessions, s)
	}
	return b.run.move(ctx)
}

// topicOf returns the topic of a session.
func (b *broadcast) topicOf(s *session) *topic { return &b.topics[s.index%len(b.topics)] }

// subscribeFrame returns the message that subscribes its sender to a topic at
// the suite's servers, which do not reply.
func subscribeFrame(number int) []byte {
	return appendMasked(nil, wire.Header{Fin: true, Opcode: wire.Binary}, fmt.Appendf(nil, "T%015d", number), [4]byte{0x3D, 0xA1, 0x57, 0x0C})
}

func (b *broadcast) opened(s *session, now time.Duration) {
	if t := b.topicOf(s); t.subscribe != nil {
		s.out.subscribe = t.subscribe
		b.run.mark(s)
	}
	b.unopened--
	if b.unopened == 0 {
		b.joining = true
		b.probe(now)
	}
}

func (b *broadcast) probe(now time.Duration) {
	b.probeAt = now + b.probeEvery
	b.probeEvery *= 2
	for i := range b.topics {
		b.topics[i].send(now)
	}
}

// send sends one message and makes it due for all.
func (t *topic) send(now time.Duration) {
	sender := t.sessions[0]
	t.lacking[sender.due%int64(len(t.lacking))] = len(t.sessions)
	sender.issue(1, now)
	for _, s := range t.sessions[1:] {
		s.expect(1, now)
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
	b.meter.begin(now)
	for i := range b.topics {
		t := &b.topics[i]
		t.completed = t.sessions[0].due
		for range b.inFlight {
			t.send(now)
		}
	}
}

func (b *broadcast) replied(s *session, n int, now time.Duration) {
	if b.joining {
		return
	}
	if b.meter.stage == measuring {
		b.meter.count(n, len(s.script.payload))
	}
	t := b.topicOf(s)
	for number := s.received - int64(n); number < s.received; number++ {
		at := number % int64(b.inFlight)
		if b.meter.stage == measuring {
			b.meter.latency(t.sessions[0].times[at], now)
		}
		if t.lacking[at]--; t.lacking[at] == 0 {
			b.complete(t, now)
		}
	}
}

// complete continues after a message has reached all receivers of t.
func (b *broadcast) complete(t *topic, now time.Duration) {
	t.completed++
	switch {
	case b.meter.stage != finished:
		t.send(now)
	case t.completed == t.sessions[0].due:
		for _, s := range t.sessions {
			s.close(now)
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
