package chaos

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// historySize is how many events of a connection are kept: the first ones and
// the latest.
const historySize = 48

// A conn is the record of one connection, from both ends.
type conn struct {
	id     uint32
	target *target
	style  string
	kind   kind
	began  time.Time

	// trouble maps events to the way in which their handlers fail. The peer
	// sets it before it connects.
	trouble map[string]action

	faithful  bool        // the peer reads, answers and ends by a closing handshake
	exempt    bool        // no other connection closes this one
	isolated  bool        // no handler sends to it, except broadcasts
	fragments atomic.Bool // a message in fragments was sent, which no policy drops
	disturbed atomic.Bool // the application has closed it, or a handler has failed

	server atomic.Pointer[server.Conn]
	life   lifecycle

	received streams       // by handlers; owned by them
	handled  atomic.Uint32 // received messages
	rng      uint64        // state of the handlers' random numbers; owned by them
	events   int           // owned by handlers: the race detector finds overlapping events
	partial  []byte        // owned by handlers
	pushes   int           // owned by handlers: messages to send by Writable

	fromGoroutine sync.Mutex // held by a goroutine that sends actGoroutine's messages

	mu       sync.Mutex // guards the rest
	first    []event
	latest   []event // ring
	count    int
	sent     map[uint32]uint32 // messages that Send has accepted, by stream
	sending  map[uint32]time.Time
	over     error // the first error of Send that is net.ErrClosed
	limits   []limit
	ended    time.Time // Close was called
	why      error     // at Close
	reported map[string]bool
	serving  bool
	upgraded bool     // the peer has received the 101
	end      *peerEnd // nil before the end
}

// peerEnd is the end of a connection, as seen by its peer.
type peerEnd struct {
	at        time.Time
	err       error             // of reading
	closed    bool              // a Close has arrived
	code      wire.StatusCode   // in it
	sentClose bool              // by the peer
	sentCode  wire.StatusCode   // in it
	messages  uint32            // that the peer has sent before its Close
	received  map[uint32]uint32 // number of the next message, by stream
	count     uint64            // messages that have arrived
}

// event is a line of a history.
type event struct {
	at   time.Duration
	text string
}

// limit is a time by which the connection must end.
type limit struct {
	since  time.Time
	within time.Duration
	option string
}

func (c *conn) note(format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	e := event{time.Since(c.began), text}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	switch {
	case len(c.first) < historySize/3:
		c.first = append(c.first, e)
	case len(c.latest) < historySize-historySize/3:
		c.latest = append(c.latest, e)
	default:
		c.latest[(c.count-1-historySize/3)%len(c.latest)] = e
	}
}

// history returns the events, one a line.
func (c *conn) history() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "connection %d: %v\n", c.id, c)
	write := func(e event) { fmt.Fprintf(&b, "  %10.3f ms  %s\n", float64(e.at.Microseconds())/1000, e.text) }
	for _, e := range c.first {
		write(e)
	}
	if n := c.count - len(c.first) - len(c.latest); n > 0 {
		fmt.Fprintf(&b, "  … %d events\n", n)
	}
	for i := range c.latest {
		write(c.latest[(c.count-len(c.first)+i)%len(c.latest)])
	}
	return b.String()
}

func (c *conn) String() string {
	return fmt.Sprintf("%s, %s, %v, peer %s", c.target.form.name, c.style, policyNames[c.target.srv.SlowPolicy], c.kind)
}

var policyNames = map[server.SlowPolicy]string{
	server.SlowDefault: "SlowDefault", server.SlowClose: "SlowClose", server.SlowDropNewest: "SlowDropNewest",
	server.SlowDropOldest: "SlowDropOldest", server.SlowBlock: "SlowBlock",
}

// limitLife sets a time limit for the connection.
func (c *conn) limitLife(option string, within time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = append(c.limits, limit{time.Now(), within, option})
}

// endedTime returns when Close was called, zero if it was not.
func (c *conn) endedTime() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// lifecycle checks the order of a connection's events. The zero value is that
// of a connection that is not open.
type lifecycle struct {
	mu      sync.Mutex
	inside  string // the handler that runs
	opened  int
	errored int
	closed  int
	failed  string // how the handler failed
}

// enter checks an event when its handler is called.
func (l *lifecycle) enter(event string) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inside != "":
		err = fmt.Errorf("%s is called while %s runs", event, l.inside)
	case l.closed > 0:
		err = fmt.Errorf("%s is called after Close", event)
	case event == "Open" && l.opened > 0:
		err = errors.New("a second Open")
	case event != "Open" && l.opened == 0:
		err = fmt.Errorf("%s is called before Open", event)
	case event == "Error" && l.errored > 0:
		err = errors.New("a second Error")
	case event != "Error" && event != "Close" && l.errored > 0:
		err = fmt.Errorf("%s is called after Error", event)
	case event != "Error" && event != "Close" && l.failed != "":
		err = fmt.Errorf("%s is called after %s", event, l.failed)
	}
	l.inside = event
	switch event {
	case "Open":
		l.opened++
	case "Error":
		l.errored++
	case "Close":
		l.closed++
	}
	return err
}

// leave records the end of a handler. failed is "" if it has returned.
func (l *lifecycle) leave(failed string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside = ""
	if failed != "" && l.failed == "" {
		l.failed = failed
	}
}

// final checks the events of a connection that has ended.
func (l *lifecycle) final() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inside != "":
		return fmt.Errorf("the handler of %s has not returned", l.inside)
	case l.closed != l.opened:
		return fmt.Errorf("there were %d calls of Open and %d of Close", l.opened, l.closed)
	}
	return nil
}

// state reports whether Open and Close have been called.
func (l *lifecycle) state() (opened, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened > 0, l.closed > 0
}

// once calls report at the first call with name.
func (c *conn) once(name string, report func()) {
	c.mu.Lock()
	again := c.reported[name]
	if c.reported == nil {
		c.reported = make(map[string]bool)
	}
	c.reported[name] = true
	c.mu.Unlock()
	if !again {
		report()
	}
}

// hadError reports whether Error was called.
func (l *lifecycle) hadError() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errored > 0
}

// invariant names a check.
type invariant string

// The invariants.
const (
	intact     invariant = "every message arrives intact and in order"
	delivered  invariant = "a message that Send has accepted arrives before the Close"
	oneLife    invariant = "Open first, Close exactly once, nothing after it, and no overlap"
	deserved   invariant = "a peer that behaves keeps its connection"
	inTime     invariant = "no connection lasts longer than its limits"
	bounded    invariant = "no connection buffers more than its limits"
	prompt     invariant = "probes get their echoes in time"
	protocol   invariant = "the server keeps to RFC 6455"
	shutdown   invariant = "Shutdown returns in time and leaves nothing behind"
	statistics invariant = "Stats agree with the events"
	released   invariant = "goroutines and descriptors end with their round"
	calls      invariant = "calls return the errors that are documented"
	idle       invariant = "idle servers use no processor time"
	coverage   invariant = "a run covers every form, style, policy and kind of peer"
)

// violation is a check that has failed.
type violation struct {
	invariant invariant
	round     string
	detail    string
	history   string
	dump      string
}

// recorder collects violations. All goroutines may call its methods.
type recorder struct {
	dumped atomic.Bool
	mu     sync.Mutex // guards the rest
	found  []violation
	counts map[invariant]int
}

// mostViolations are kept of each invariant.
const mostViolations = 4

// add records a violation. The first one with dump gets the stacks of all
// goroutines.
func (j *recorder) add(v violation, dump bool) {
	if dump && !j.dumped.Swap(true) {
		v.dump = leakcheck.Stacks()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.counts == nil {
		j.counts = make(map[invariant]int)
	}
	if j.counts[v.invariant]++; j.counts[v.invariant] <= mostViolations {
		j.found = append(j.found, v)
	}
}
