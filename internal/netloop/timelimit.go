package netloop

import (
	"sync"
	"time"
)

// timeLimit is a time limit for an action that is repeated, such as a write. It
// sets its timer at most once in a quarter of the limit.
type timeLimit struct {
	limit    time.Duration
	expire   func()
	progress func() bool // nil: not known

	mu      sync.Mutex // guards the rest
	since   time.Time  // the beginning, or the last progress; zero: not started
	timer   *time.Timer
	armed   bool // timer will fire
	expired bool
}

// newTimeLimit returns a limit that calls expire, once, when the action has
// begun and not ended within limit, counted from its last progress. progress
// reports whether there was progress since its last call.
func newTimeLimit(limit time.Duration, expire func(), progress func() bool) *timeLimit {
	return &timeLimit{limit: limit, expire: expire, progress: progress}
}

// interval is how often the timer fires.
func (l *timeLimit) interval() time.Duration {
	if l.progress == nil {
		return l.limit
	}
	return max(l.limit/4, 1)
}

// begin starts the time.
func (l *timeLimit) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	if l.armed {
		return
	}
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(l.interval(), l.fire)
	} else {
		l.timer.Reset(l.interval())
	}
}

// end stops the time.
func (l *timeLimit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Time{}
}

// stop releases the timer, at the end of the connection.
func (l *timeLimit) stop() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed && l.timer.Stop() {
		l.armed = false
	}
}

// fire checks whether the time is over, and otherwise waits for the rest of it.
func (l *timeLimit) fire() {
	l.mu.Lock()
	if l.progress != nil && !l.since.IsZero() && l.progress() {
		l.since = time.Now()
	}
	switch left := l.limit - time.Since(l.since); {
	case l.since.IsZero():
		l.armed = false
	case left > 0:
		l.timer.Reset(min(left, l.interval()))
	default:
		l.expired = true
	}
	expired := l.expired
	l.mu.Unlock()
	if expired {
		l.expire()
	}
}
