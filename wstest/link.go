package wstest

import (
	"sync"
	"time"
)

// Link is the connection between a client and a server, with its faults. Its
// methods may be called from any goroutine.
type Link struct {
	ToServer *Flow // the bytes that the client writes
	ToClient *Flow // the bytes that the server writes

	mu       sync.Mutex // guards the rest, and the flows
	changed  *sync.Cond // on mu: any field has changed
	wasReset bool
	onReset  func() // called once, with mu held; may be nil
}

func newLink(p Plan) *Link {
	l := new(Link)
	l.changed = sync.NewCond(&l.mu)
	l.ToServer = newFlow(l, &p.ToServer, p.Seed, 0)
	l.ToClient = newFlow(l, &p.ToClient, p.Seed, 1)
	return l
}

// Reset resets both directions of the connection. Bytes that are written
// already still arrive, unless they are stalled.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
}

// reset is Reset for callers that hold mu.
func (l *Link) reset() {
	if l.wasReset {
		return
	}
	l.wasReset = true
	l.changed.Broadcast()
	if l.onReset != nil {
		l.onReset()
	}
}

// drop resets the connection and discards unread bytes.
func (l *Link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
	for _, f := range []*Flow{l.ToServer, l.ToClient} {
		f.pieces, f.waiting = nil, 0
	}
	l.changed.Broadcast()
}

// wait waits for a change, and not beyond until, unless that is zero. The
// caller holds mu, which is unlocked meanwhile.
func (l *Link) wait(until time.Time) {
	if !until.IsZero() {
		defer time.AfterFunc(time.Until(until), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.changed.Broadcast()
		}).Stop()
	}
	l.changed.Wait()
}

// links are the links of a listener or relay.
type links struct {
	plan func(n int) Plan

	mu     sync.Mutex // guards the rest
	added  *sync.Cond
	all    []*Link
	closed bool
}

func newLinks(plan func(n int) Plan) *links {
	l := &links{plan: plan}
	l.added = sync.NewCond(&l.mu)
	return l
}

// add adds a link and returns its index. After close it returns nil.
func (l *links) add() (*Link, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0
	}
	n := len(l.all)
	var p Plan
	if l.plan != nil {
		p = l.plan(n)
	}
	link := newLink(p)
	l.all = append(l.all, link)
	l.added.Broadcast()
	return link, n
}

// get waits for the n-th link. It returns nil if close is called first.
func (l *links) get(n int) *Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n >= len(l.all) && !l.closed {
		l.added.Wait()
	}
	if n < 0 || n >= len(l.all) {
		return nil
	}
	return l.all[n]
}

// close prevents further links and returns all.
func (l *links) close() []*Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.added.Broadcast()
	return l.all
}
