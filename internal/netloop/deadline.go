package netloop

import (
	"sync"
	"time"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// deadline is a moment from which on calls fail. The zero value is none.
type deadline struct {
	_      [0]func()  // not comparable: programs are smaller
	mu     sync.Mutex // guards the rest
	timer  *time.Timer
	passed chan struct{} // closed when the deadline has passed; nil until requested
}

// set sets the deadline; zero means none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.passed == nil || isClosed(d.passed) {
		d.passed = make(chan struct{})
	}
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		close(d.passed)
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			d.mu.Lock()
			if d.timer == timer { // otherwise the deadline was replaced
				d.timer = nil
				close(d.passed)
			}
			d.mu.Unlock()
		})
		d.timer = timer
	}
	d.mu.Unlock()
}

// over returns a channel that is closed when the deadline passes.
func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	passed := d.passed
	d.mu.Unlock()
	return passed
}

//go:noinline
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
