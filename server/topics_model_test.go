package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// recording is a socket that keeps the messages written.
type recording struct {
	nowhere
	mu       sync.Mutex
	messages []string // of data frames
}

func (r *recording) Write(p []byte) (int, error) {
	r.add(p)
	return len(p), nil
}

func (r *recording) Writev(head, payload []byte) error {
	r.add(append(slices.Clone(head), payload...))
	return nil
}

// add adds the messages of whole frames.
func (r *recording) add(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(p) > 0 {
		f, n, err := wire.DecodeFrame(p)
		if err != nil {
			panic(err)
		}
		if p = p[n:]; f.Opcode == wire.Text {
			r.messages = append(r.messages, string(f.Payload))
		}
	}
}

// take removes the messages.
func (r *recording) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.messages
	r.messages = nil
	return taken
}

// openRecording returns an open connection of s with its socket.
func openRecording(t *testing.T, s *Server) (*Conn, *recording) {
	t.Helper()
	r := new(recording)
	c := s.connOver(r)
	if !c.open(Handshake{}, nil) {
		t.Fatal("not open")
	}
	return c, r
}

// The model of Topics: two connections, and three topics of two Topics, of
// which two have the same name.
const (
	modelConns  = 2
	modelTopics = 3
	modelLimit  = 2 // MaxTopics of both
)

var modelNames = [modelTopics]string{"x", "y", "x"} // the last is of the second Topics

// modelConn is the state of a connection in the model.
type modelConn struct {
	state      State             // Open, Closing or Closed
	subscribed [modelTopics]bool // if Closed: in the end
}

func (c modelConn) topics() (n int) {
	for _, is := range c.subscribed {
		if is {
			n++
		}
	}
	return n
}

// model is a state of all. It is the naive implementation of Topics.
type model [modelConns]modelConn

// topicsWorld is the real code in a state of the model.
type topicsWorld struct {
	t       *testing.T
	of      [2]Topics
	conns   [modelConns]*Conn
	sockets [modelConns]*recording
}

func newTopicsWorld(t *testing.T, s *Server) *topicsWorld {
	w := &topicsWorld{t: t}
	for i := range w.of {
		w.of[i].MaxTopics = modelLimit
	}
	for i := range w.conns {
		w.conns[i], w.sockets[i] = openRecording(t, s)
	}
	return w
}

// end ends the connections.
func (w *topicsWorld) end() {
	for _, c := range w.conns {
		c.lost(net.ErrClosed)
	}
}

// topic returns the Topics and the name of a topic of the model.
func (w *topicsWorld) topic(i int) (*Topics, string) { return &w.of[i/2], modelNames[i] }

// topicsStep is an event. It returns the next state, and compares the result of
// the call with that of the model.
type topicsStep struct {
	name string
	do   func(w *topicsWorld, m model) model
}

func topicsSteps() (all []topicsStep) {
	for c := range modelConns {
		for i := range modelTopics {
			all = append(all, topicsStep{fmt.Sprintf("subscribe %d to %d", c, i), func(w *topicsWorld, m model) model {
				of, name := w.topic(i)
				err := of.Subscribe(w.conns[c], name)
				switch {
				case m[c].state == Closed:
					check.Is(w.t, err, w.conns[c].Err(), "Subscribe")
					if err == nil {
						w.t.Error("subscribed after the end")
					}
				case m[c].subscribed[i]:
					check.OK(w.t, err)
				case m[c].topics() == modelLimit:
					limit := check.As[*TopicError](w.t, err, "Subscribe")
					check.Equal(w.t, *limit, TopicError{Topic: name, Max: modelLimit, Option: "MaxTopics"}, "error")
				default:
					check.OK(w.t, err)
					m[c].subscribed[i] = true
				}
				return m
			}}, topicsStep{fmt.Sprintf("unsubscribe %d from %d", c, i), func(w *topicsWorld, m model) model {
				of, name := w.topic(i)
				check.Equal(w.t, of.Unsubscribe(w.conns[c], name), m[c].state != Closed && m[c].subscribed[i], "Unsubscribe")
				if m[c].state != Closed {
					m[c].subscribed[i] = false
				}
				return m
			}})
		}
		all = append(all, topicsStep{fmt.Sprintf("close %d", c), func(w *topicsWorld, m model) model {
			if m[c].state == Open {
				check.OK(w.t, w.conns[c].Close(wire.NormalClosure, ""))
				m[c].state = Closing
			}
			return m
		}}, topicsStep{fmt.Sprintf("end %d", c), func(w *topicsWorld, m model) model {
			w.conns[c].lose(net.ErrClosed)
			m[c].state = Closed
			return m
		}})
	}
	return all
}

// check compares everything that can be observed with the model, and the
// structure.
func (w *topicsWorld) check(m model) {
	for i := range modelTopics {
		of, name := w.topic(i)
		var want []*Conn
		for c, conn := range w.conns {
			is := m[c].subscribed[i] && m[c].state != Closed
			check.Equal(w.t, of.Subscribed(conn, name), is, "Subscribed(%d, %d)", c, i)
			if is {
				want = append(want, conn)
			}
		}
		check.Equal(w.t, of.Count(name), len(want), "Count(%d)", i)
		got := slices.Collect(of.Subscribers(name))
		if len(got) != len(want) || slices.ContainsFunc(want, func(c *Conn) bool { return !slices.Contains(got, c) }) {
			w.t.Errorf("%d subscribers of %d, want %d", len(got), i, len(want))
		}
		for except := -1; except < modelConns; except++ {
			w.publish(m, i, except)
		}
	}
	for i := range w.of {
		for c, conn := range w.conns {
			var want []string
			for k := range modelTopics {
				if of, name := w.topic(k); of == &w.of[i] && m[c].subscribed[k] {
					want = append(want, name)
				}
			}
			check.Slices(w.t, slices.Sorted(w.of[i].Of(conn)), want, "topics of %d", c)
		}
		checkTopics(w.t, &w.of[i])
	}
}

// publish publishes to a topic, for all or, if except is not negative, for all
// but one connection.
func (w *topicsWorld) publish(m model, i, except int) {
	of, name := w.topic(i)
	var want Published
	for c := range modelConns {
		switch {
		case c == except || !m[c].subscribed[i] || m[c].state == Closed:
		case m[c].state == Open:
			want.Sent++
		default:
			want.Closed++
		}
	}
	var not *Conn
	if except >= 0 {
		not = w.conns[except]
	}
	got, err := of.PublishExcept(not, name, wire.Text, []byte("?"))
	check.OK(w.t, err)
	check.Equal(w.t, got, want, "publication to %d without %d", i, except)
	for c, r := range w.sockets {
		var want []string
		if c != except && m[c].subscribed[i] && m[c].state == Open {
			want = []string{"?"}
		}
		check.Slices(w.t, r.take(), want, "messages of %d after a publication to %d without %d", c, i, except)
	}
}

// checkTopics checks the structure: the places are right, and there are no
// topics without subscribers, nor of connections that have ended.
func checkTopics(t *testing.T, topics *Topics) {
	t.Helper()
	topics.mu.Lock()
	defer topics.mu.Unlock()
	for name, of := range topics.topics {
		if of.name != name || of.of != topics || len(of.subscriptions) == 0 {
			t.Errorf("topic %q: named %q, with %d subscriptions", name, of.name, len(of.subscriptions))
		}
		for i, s := range of.subscriptions {
			own := s.conn.topics()
			if s.topic != of || int(s.place) != i || !s.conn.isOpen() || own.list[s.own] != s {
				t.Errorf("topic %q: subscription %d: %+v", name, i, *s)
			}
		}
	}
	if topics.topics != nil && len(topics.topics) == 0 {
		t.Error("an empty map")
	}
}

// Subscribe, Unsubscribe, Close, the end of a connection and publications have
// the same results as a naive implementation, in all orders: every event is
// performed in every state that can be reached.
func TestTopicsInAllOrders(t *testing.T) {
	t.Parallel()
	s := new(Server)
	stays, _ := openRecording(t, s) // the server's goroutine stays
	defer stays.lost(net.ErrClosed)
	steps := topicsSteps()
	paths := map[model][]int{{}: nil} // to each state, as indexes of steps
	for queue := []model{{}}; len(queue) > 0; queue = queue[1:] {
		for i := range steps {
			path := append(slices.Clone(paths[queue[0]]), i)
			w, m := newTopicsWorld(t, s), model{}
			for _, step := range path {
				m = steps[step].do(w, m)
			}
			if _, known := paths[m]; !known {
				paths[m] = path
				queue = append(queue, m)
			}
			w.check(m)
			w.end()
			if t.Failed() {
				var names []string
				for _, step := range path {
					names = append(names, steps[step].name)
				}
				t.Fatalf("after: %s", strings.Join(names, ", "))
			}
		}
	}
	const each = 3 * 7 // open, closing or closed, with at most two of three topics
	check.Equal(t, len(paths), each*each, "states")
}

// Subscriptions, publications and ends of connections at the same time: each
// message of a publisher reaches the connections that stay exactly once and in
// order; in the end there is no topic.
func TestTopicsConcurrently(t *testing.T) {
	const staying, coming, publishers, messages, names = 8, 60, 3, 300, 5
	s := new(Server)
	var topics Topics
	var sockets []*recording
	var conns []*Conn
	for range staying {
		c, r := openRecording(t, s)
		check.Must(t, topics.Subscribe(c, "all"))
		conns, sockets = append(conns, c), append(sockets, r)
	}
	name := func() string { return fmt.Sprint("topic ", rand.N(names)) }
	var others, all sync.WaitGroup
	for range 3 {
		others.Go(func() {
			for range coming {
				c, _ := openRecording(t, s)
				var both sync.WaitGroup
				both.Go(func() { // an end at any moment
					for range rand.N(20) {
						runtime.Gosched()
					}
					c.lost(net.ErrClosed)
				})
				for range 20 {
					if err := topics.Subscribe(c, name()); err != nil && err != c.Err() {
						t.Error(err)
					}
					topics.Unsubscribe(c, name())
					topics.Subscribed(c, name())
					for range topics.Of(c) {
					}
				}
				both.Wait()
				if err := topics.Subscribe(c, name()); err == nil {
					t.Error("subscribed after the end")
				}
			}
		})
		others.Go(func() { // one that stays changes its topics
			for range coming {
				c := conns[rand.N(staying)]
				check.OK(t, topics.Subscribe(c, name()))
				topics.Unsubscribe(c, name())
			}
		})
	}
	for p := range publishers {
		all.Go(func() {
			for i := range messages {
				n, err := topics.Publish("all", wire.Text, fmt.Appendf(nil, "%d %d", p, i))
				check.OK(t, err)
				check.Equal(t, n, Published{Sent: staying}, "publication")
				for c := range topics.Subscribers(name()) {
					c.State()
				}
				topics.Count(name())
				_, err = topics.PublishExcept(conns[0], name(), wire.Text, []byte("noise"))
				check.OK(t, err)
			}
		})
	}
	others.Wait()
	all.Wait()
	for i, c := range conns {
		c.forceFlush(false)
		next := make(map[string]int)
		for _, m := range sockets[i].take() {
			if m == "noise" {
				continue
			}
			from, number, _ := strings.Cut(m, " ")
			check.Equal(t, number, fmt.Sprint(next[from]), "message of publisher %s", from)
			next[from]++
		}
		for p := range publishers {
			check.Equal(t, next[fmt.Sprint(p)], messages, "messages of publisher %d", p)
		}
	}
	checkTopics(t, &topics)
	for _, c := range conns {
		c.lost(net.ErrClosed)
	}
	check.Equal(t, len(slices.Collect(maps.Keys(topics.topics))), 0, "topics")
}

// A connection that has ended is not kept, nor the memory of its topics.
func TestTopicsKeepNoConnection(t *testing.T) {
	const conns = 50
	var topics Topics
	s := new(Server)
	pointers := make([]weak.Pointer[Conn], conns)
	func() {
		for i := range pointers {
			c, _ := openRecording(t, s)
			pointers[i] = weak.Make(c)
			for k := range 10 {
				check.Must(t, topics.Subscribe(c, fmt.Sprint(k)))
				check.Must(t, topics.Subscribe(c, fmt.Sprint(i, " ", k)))
			}
			for k := range 5 {
				topics.Unsubscribe(c, fmt.Sprint(k))
			}
			check.Must(t, check.Err(topics.Publish("7", wire.Text, []byte("?"))))
			defer c.lost(net.ErrClosed)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		left := 0
		for _, p := range pointers {
			if p.Value() != nil {
				left++
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d connections are left", left, conns)
		}
	}
	if topics.topics != nil {
		t.Errorf("%d topics are left", len(topics.topics))
	}
}

// Names and numbers of topics have limits, with defaults. Errors quote the name.
func TestLimitsOfTopics(t *testing.T) {
	s := new(Server)
	c, _ := openRecording(t, s)
	defer c.lost(net.ErrClosed)
	long := strings.Repeat("\x01", DefaultMaxTopicName+1)
	for _, tt := range []struct {
		topics *Topics
		name   string
		many   int
		want   string
	}{
		{&Topics{}, long, 0, `websocket: topic "` + strings.Repeat(`\x01`, 20) + `": name of 257 bytes exceeds Topics.MaxTopicName (256)`},
		{&Topics{}, long[1:], 0, ""},
		{&Topics{MaxTopicName: 3}, "long", 0, `websocket: topic "long": name of 4 bytes exceeds Topics.MaxTopicName (3)`},
		{&Topics{MaxTopicName: 3}, "\xff", 0, ""},
		{&Topics{MaxTopicName: -1}, long, 0, ""},
		{&Topics{}, "", DefaultMaxTopics - 1, ""},
		{&Topics{}, "\n", DefaultMaxTopics, `websocket: topic "\n": another topic of the connection exceeds Topics.MaxTopics (1000)`},
		{&Topics{MaxTopics: 1}, "b", 1, `websocket: topic "b": another topic of the connection exceeds Topics.MaxTopics (1)`},
		{&Topics{MaxTopics: -1}, "", DefaultMaxTopics, ""},
	} {
		topics := tt.topics
		for i := range tt.many {
			check.Must(t, topics.Subscribe(c, fmt.Sprint(i)))
		}
		err := topics.Subscribe(c, tt.name)
		text := ""
		if err != nil {
			text = err.Error()
			check.As[*TopicError](t, err, "Subscribe")
		}
		check.Equal(t, text, tt.want, "error")
		check.Equal(t, topics.Subscribed(c, tt.name), err == nil, "subscribed")
		for name := range topics.Of(c) {
			check.Equal(t, topics.Unsubscribe(c, name), true, "unsubscribed from %q", name)
		}
		check.Equal(t, len(slices.Collect(topics.Of(c))), 0, "topics left")
	}
}
