package load

import (
	"context"
	"crypto/tls"
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

// target has the address of a run and the common parts of its sessions.
type target struct {
	addr        string
	tls         *tls.Config
	path        string
	deflate     bool
	verifyEvery int
	timeout     time.Duration
	goroutines  bool
}

// run is one run of a scenario. Its methods and its sessions' are called by one goroutine at a time.
type run struct {
	target
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

// newRun prepares conns sessions with the script; each may have inFlight messages on their way.
func newRun(t target, load scenario, s *script, conns, inFlight int) *run {
	if t.verifyEvery <= 0 {
		t.verifyEvery = defaultVerifyEvery
	}
	if t.timeout <= 0 {
		t.timeout = defaultTimeout
	}
	r := &run{target: t, load: load, sessions: make([]session, conns), left: conns, begun: time.Now()}
	r.result.Latency = new(Histogram)
	for i := range r.upgrades {
		r.upgrades[i] = newUpgrade(t.addr, t.path, t.deflate)
	}
	times := make([]time.Duration, conns*inFlight)
	for i := range r.sessions {
		r.sessions[i] = session{run: r, index: i, script: s, patience: t.timeout, times: times[i*inFlight : (i+1)*inFlight]}
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

// attend calls do for each session that has something for the shell to do, once for however many reasons.
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
		r.scanAt = now + min(scanEvery, r.timeout/4)
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
	addr, err := net.ResolveTCPAddr("tcp", r.addr)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	shell := moveWithGoroutines
	if r.tls == nil && !r.goroutines && moveWithEpoll != nil {
		shell = moveWithEpoll
	}
	if err := shell(ctx, r, addr); err != nil {
		return nil, err
	}
	return &r.result, nil
}
