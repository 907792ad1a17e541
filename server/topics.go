package server

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/fibersock/fibersock/internal/lockorder"
	"github.com/fibersock/fibersock/wire"
)

// Defaults of Topics.
const (
	DefaultMaxTopics    = 1000 // of a connection
	DefaultMaxTopicName = 256  // bytes
)

// Topics sends messages to the connections that have subscribed to a topic
// (publish and subscribe). The zero value is ready for use. It may have
// connections of several servers. Its methods may be called from any goroutine,
// inside handlers and outside. They wait for no client.
//
// A topic is a name. It exists while a connection is subscribed to it. Only the
// application subscribes connections: no message of a client does.
//
// When a connection ends, its subscriptions end before Handler.Error and
// Handler.Close are called.
//
// # Order
//
// A message that is published after Subscribe has returned is sent to the
// connection. One that is published after Unsubscribe has returned is not. A
// publication that is in progress meanwhile may be sent or not. Messages that
// one goroutine publishes, to one topic or several, reach each subscriber in
// order, and so do those that it sends to the subscriber by other means.
// Messages that several goroutines publish at the same time may reach two
// subscribers in different orders; an application that needs one order publishes
// under a lock of its own.
//
// # Limits
//
// Zero means the default, a negative value means no limit. The fields must not
// be changed after the first call of Subscribe.
type Topics struct {
	// MaxTopics bounds the topics of a connection, those of other Topics
	// included. Default: 1,000.
	MaxTopics int

	// MaxTopicName bounds the length of a topic's name, in bytes. Default: 256.
	MaxTopicName int

	mu     lockorder.Topics // guards the rest
	topics map[string]*topic

	lists sync.Pool // of *[]*subscription; see receivers
}

// topic is a name with subscriptions.
type topic struct {
	of            *Topics
	name          string
	subscriptions []*subscription // in no order, at least one; guarded by of.mu
}

// subscription is that of one connection to one topic.
type subscription struct {
	conn  *Conn
	topic *topic
	place int32 // in topic.subscriptions, guarded by topic.of.mu
	own   int32 // in connTopics.list, guarded by connTopics.mu
}

// connTopics are the subscriptions of one connection, to topics of any Topics.
// end is a function value, so that a program without Topics does not contain
// it.
type connTopics struct {
	mu   lockorder.ConnTopics // guards list
	list []*subscription      // in no order; constant once the connection has ended
	end  func(*connTopics)
}

// TopicError reports a subscription that would exceed a limit of Topics. The
// connection's subscriptions are unchanged.
type TopicError struct {
	Topic  string // its name
	Max    int    // the limit
	Option string // the option that sets it: "MaxTopics" or "MaxTopicName"
}

// Error returns a text with the limit and its option.
func (e *TopicError) Error() string {
	if e.Option == "MaxTopicName" {
		return fmt.Sprintf("websocket: topic %.20q: name of %d bytes exceeds Topics.MaxTopicName (%d)", e.Topic, len(e.Topic), e.Max)
	}
	return fmt.Sprintf("websocket: topic %q: another topic of the connection exceeds Topics.MaxTopics (%d)", e.Topic, e.Max)
}

// Published counts the subscribers of a publication by the fate of the message.
type Published struct {
	// Sent: the message is written, buffered or queued. With SlowDropOldest a
	// later message may replace it; Stats.Dropped counts that.
	Sent int

	// Dropped: the client reads too slowly, and SlowDropNewest applies.
	Dropped int

	// Aborted: the client reads too slowly, and the connection is aborted, by
	// SlowClose or SlowBlock.
	Aborted int

	// Closed: the connection is closing, or has just ended.
	Closed int
}

// Subscribe subscribes c to a topic. If it is subscribed already, nothing
// changes. The error is a *TopicError or, if c has ended, the reason. The name
// is copied.
func (t *Topics) Subscribe(c *Conn, topic string) error {
	if most := orDefault(t.MaxTopicName, DefaultMaxTopicName); most > 0 && len(topic) > most {
		return &TopicError{Topic: topic, Max: most, Option: "MaxTopicName"}
	}
	if err := c.Err(); err != nil {
		return err
	}
	own := c.ensureTopics((*connTopics).endAll)
	t.mu.Lock()
	defer t.mu.Unlock()
	own.mu.Lock()
	defer own.mu.Unlock()
	if !c.isOpen() {
		return c.Err()
	}
	to := t.topics[topic]
	if own.find(c, to) != nil {
		return nil
	}
	if most := orDefault(t.MaxTopics, DefaultMaxTopics); most > 0 && len(own.list) >= most {
		return &TopicError{Topic: topic, Max: most, Option: "MaxTopics"}
	}
	if to == nil {
		to = t.add(strings.Clone(topic))
	}
	s := &subscription{conn: c, topic: to, place: int32(len(to.subscriptions)), own: int32(len(own.list))}
	to.subscriptions = append(to.subscriptions, s)
	own.list = append(own.list, s)
	return nil
}

// Unsubscribe ends c's subscription to a topic. It reports whether there was
// one.
func (t *Topics) Unsubscribe(c *Conn, topic string) bool {
	return t.withSubscription(c, topic, func(own *connTopics, s *subscription) {
		t.remove(s)
		own.list[len(own.list)-1].own = s.own
		own.list = removeAt(own.list, s.own)
	})
}

// Subscribed reports whether c is subscribed to a topic.
func (t *Topics) Subscribed(c *Conn, topic string) bool {
	return t.withSubscription(c, topic, func(*connTopics, *subscription) {})
}

// withSubscription calls f with c's subscriptions, and that to a topic, if there
// is one and c has not ended. It reports whether it has. Both locks are held
// then.
func (t *Topics) withSubscription(c *Conn, topic string, f func(own *connTopics, s *subscription)) bool {
	own := c.topics()
	if own == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	own.mu.Lock()
	defer own.mu.Unlock()
	s := own.find(c, t.topics[topic])
	if s == nil || !c.isOpen() {
		return false
	}
	f(own, s)
	return true
}

// Publish sends p as a message of type op, Text or Binary, to the subscribers of
// a topic. It is Broadcast to them: the message is encoded once, compressed once
// for all, and output of a handler is deferred in the same way. Publish waits
// for no client: SlowPolicy applies to those that read too slowly, and Published
// counts them.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be
// sent. A topic without subscribers is no error. p is not kept.
func (t *Topics) Publish(topic string, op wire.Opcode, p []byte) (Published, error) {
	return t.PublishExcept(nil, topic, op, p)
}

// PublishExcept is Publish to all subscribers but c, the sender for instance. c
// need not be subscribed.
func (t *Topics) PublishExcept(c *Conn, topic string, op wire.Opcode, p []byte) (Published, error) {
	m, err := Prepare(op, p)
	if err != nil {
		return Published{}, err
	}
	return t.deliver(c, topic, m), nil
}

// PublishPrepared is Publish of a message that is encoded already.
func (t *Topics) PublishPrepared(topic string, m *Prepared) Published {
	return t.deliver(nil, topic, m)
}

// PublishPreparedExcept is PublishExcept of a message that is encoded already.
func (t *Topics) PublishPreparedExcept(c *Conn, topic string, m *Prepared) Published {
	return t.deliver(c, topic, m)
}

// Count returns the number of subscribers of a topic.
func (t *Topics) Count(topic string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of := t.topics[topic]; of != nil {
		return len(of.subscriptions)
	}
	return 0
}

// Subscribers returns an iterator over the subscribers of a topic, in no order.
// It uses those that exist when the iteration begins.
func (t *Topics) Subscribers(topic string) iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		list := t.receivers(topic)
		defer t.reuse(list)
		for _, s := range *list {
			if !yield(s.conn) {
				return
			}
		}
	}
}

// Of returns an iterator over the topics of c, in no order. It uses those that
// exist when the iteration begins. If c has ended, these are the topics that it
// had in the end: Handler.Close can publish that c has left.
func (t *Topics) Of(c *Conn) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range c.topics().snapshot() {
			if s.topic.of == t && !yield(s.topic.name) {
				return
			}
		}
	}
}

// deliver sends m to the subscribers of a topic but except. Every publication is
// delivered here: a broker between processes publishes the messages that it
// receives, and passes the messages of Publish to others.
func (t *Topics) deliver(except *Conn, topic string, m *Prepared) (n Published) {
	list := t.receivers(topic)
	defer t.reuse(list)
	for _, s := range *list {
		if s.conn == except {
			continue
		}
		switch s.conn.trySendOrQueue(m) {
		case fateSent:
			n.Sent++
		case fateDropped:
			n.Dropped++
		case fateAborted:
			n.Aborted++
		case fateClosed:
			n.Closed++
		}
	}
	return n
}

// receivers returns a copy of the subscriptions to a topic, for reuse. No lock
// is held while messages are sent to them.
func (t *Topics) receivers(topic string) *[]*subscription {
	list, ok := t.lists.Get().(*[]*subscription)
	if !ok {
		list = new([]*subscription)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if to := t.topics[topic]; to != nil {
		*list = append(*list, to.subscriptions...)
	}
	return list
}

// reuse keeps the memory of list.
func (t *Topics) reuse(list *[]*subscription) {
	clear(*list)
	*list = (*list)[:0]
	t.lists.Put(list)
}

// add adds a topic. The caller holds mu, and subscribes a connection to it.
func (t *Topics) add(name string) *topic {
	if t.topics == nil {
		t.topics = make(map[string]*topic)
	}
	to := &topic{of: t, name: name}
	t.topics[name] = to
	return to
}

// remove removes s from its topic, and the topic if it was the last. The caller
// holds mu.
func (t *Topics) remove(s *subscription) {
	from := s.topic
	from.subscriptions[len(from.subscriptions)-1].place = s.place
	from.subscriptions = removeAt(from.subscriptions, s.place)
	if len(from.subscriptions) > 0 {
		return
	}
	delete(t.topics, from.name)
	if len(t.topics) == 0 {
		t.topics = nil // the map would keep its size
	}
}

// topics returns the connection's subscriptions, nil if it never had one.
func (c *Conn) topics() *connTopics {
	if ext := c.ext.Load(); ext != nil {
		return ext.topics.Load()
	}
	return nil
}

// ensureTopics returns the connection's subscriptions, which it allocates if
// there are none. end is called with them when the connection has ended.
func (c *Conn) ensureTopics(end func(*connTopics)) *connTopics {
	ext := c.ensureExt()
	if ext.topics.Load() == nil {
		ext.topics.CompareAndSwap(nil, &connTopics{end: end})
	}
	return ext.topics.Load()
}

// endTopics ends the subscriptions. The phase is phaseEnded.
func (c *Conn) endTopics() {
	if own := c.topics(); own != nil {
		own.end(own)
	}
}

// find returns the subscription of c, whose subscriptions are own, to a topic;
// nil if there is none. The caller holds the locks of both.
func (own *connTopics) find(c *Conn, to *topic) *subscription {
	if to == nil {
		return nil
	}
	if len(to.subscriptions) < len(own.list) {
		for _, s := range to.subscriptions {
			if s.conn == c {
				return s
			}
		}
		return nil
	}
	for _, s := range own.list {
		if s.topic == to {
			return s
		}
	}
	return nil
}

// snapshot returns a copy of the list. own may be nil.
func (own *connTopics) snapshot() []*subscription {
	if own == nil {
		return nil
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	return slices.Clone(own.list)
}

// endAll removes the subscriptions of a connection that has ended from their
// topics.
func (own *connTopics) endAll() {
	for _, s := range own.snapshot() {
		t := s.topic.of
		t.mu.Lock()
		t.remove(s)
		t.mu.Unlock()
	}
}
