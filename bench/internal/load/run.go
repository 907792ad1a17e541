package load

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	maxOpening = 128 // connections that are being opened at once, below the backlog of any listener
	handshakes = 64  // opening handshakes, built in advance; connections use them in turn
	scanEvery  = 100 * time.Millisecond
)

// scenario is a load: it decides the output of the sessions and their end.
type scenario interface {
	opened(s *session, now time.Duration)         // the opening handshake is done
	replied(s *session, n int, now time.Duration) // n more correct replies have arrived
	ended(s *session, now time.Duration)          // the closing handshake is done and TCP ended
	tick(now time.Duration)                       // called every few milliseconds
}

// run is one run of a scenario. Its methods and its sessions' are called by one
// goroutine at a time.
type run struct {
	Config
	load      scenario
	sessions  []session
	attention []*session // have something to send, or a connection to open or close
	result    Result
	usage     func() (user, system time.Duration)

	begun    time.Time
	scanAt   time.Duration
	toOpen   int // sessions before it have been opened
	left     int // sessions that have not ended for good
	upgrades [handshakes]*upgrade
	inflater inflater
}

// newRun prepares c.Conns sessions with the script.
func newRun(c Config, load scenario, s *script) *run {
	conns, inFlight := c.Conns, c.InFlight
	r := &run{Config: c, load: load, sessions: make([]session, conns), left: conns, begun: time.Now()}
	r.result.Latency = new(Histogram)
	for i := range r.upgrades {
		r.upgrades[i] = newUpgrade(c)
	}
	times := make([]time.Duration, conns*inFlight)
	for i := range r.sessions {
		r.sessions[i] = session{run: r, index: i, script: s, patience: c.Timeout, times: times[i*inFlight : (i+1)*inFlight]}
	}
	return r
}

func (r *run) now() time.Duration { return time.Since(r.begun) }

func (r *run) newUpgrade(index int) *upgrade { return r.upgrades[index%handshakes] }

// start opens the first connections; each that is open makes the next open.
func (r *run) start() {
	now := r.now()
	for range min(maxOpening, len(r.sessions)) {
		r.openNext(now)
	}
}

func (r *run) openNext(now time.Duration) {
	if r.toOpen < len(r.sessions) {
		r.toOpen++
		r.sessions[r.toOpen-1].open(now)
	}
}

func (r *run) opened(s *session, now time.Duration) {
	r.openNext(now)
	r.load.opened(s, now)
}

// mark gives the session the shell's attention.
func (r *run) mark(s *session) {
	if !s.marked {
		s.marked = true
		r.attention = append(r.attention, s)
	}
}

// attend calls do for each session that has something for the shell to do, once
// for however many reasons.
func (r *run) attend(do func(*session) error) error {
	for i := 0; i < len(r.attention); i++ {
		s := r.attention[i]
		s.marked = false
		if err := do(s); err != nil {
			return err
		}
	}
	r.attention = r.attention[:0]
	return nil
}

// done notes that a session has ended for good.
func (r *run) done() { r.left-- }

func (r *run) over() bool { return r.left == 0 }

// tick is called by the shell every few milliseconds.
func (r *run) tick(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("load: %w", context.Cause(ctx))
	}
	now := r.now()
	if now >= r.scanAt {
		r.scanAt = now + min(scanEvery, r.Timeout/4)
		for i := range r.sessions {
			if err := r.sessions[i].overdue(now); err != nil {
				return err
			}
		}
	}
	r.load.tick(now)
	return nil
}

// move runs the load in the shell until its end and returns the figures.
func (r *run) move(ctx context.Context) (*Result, error) {
	addr, err := net.ResolveTCPAddr("tcp", r.Addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	shell := moveWithGoroutines
	if r.TLS == nil && !r.goroutines && moveWithEpoll != nil {
		shell = moveWithEpoll
	}
	if err := shell(ctx, r, addr); err != nil {
		return nil, err
	}
	return &r.result, nil
}
