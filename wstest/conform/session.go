package conform

import (
	"cmp"
	"fmt"
	"net"
	"sync"
	"time"
)

// Timeouts of the judge, unless the case has its own.
const (
	openTimeout  = 5 * time.Second // for the opening handshake
	closeTimeout = time.Second     // for the answer to a Close
	dropTimeout  = time.Second     // for the server to end TCP after the closing handshake
)

// A session is one connection to a peer under test, from the end of the opening
// handshake to the end of TCP.
//
// Its fields belong to the goroutine of run. Two other goroutines read and
// write octets. Timers send functions to do.
type session struct {
	c       *Case
	role    Role // the judge's
	options Options
	rounds  int // of a case with many messages
	conn    net.Conn
	out     *writer
	do      chan func()
	in      chan []byte   // octets from the peer; the reader then waits for back
	back    chan struct{} // the octets of in are handled
	readErr chan error
	done    chan struct{} // closed when TCP has ended
	timers  []*time.Timer
	log     *wireLog
	opened  time.Time
	deflate *agreement // on compression; nil: none

	reader   frameReader
	message  assembly
	lastPing []byte // the payload of the last Ping without a Pong, until the peer reads; nil: none

	script    []step   // the remaining steps of the case
	pieces    []func() // of a frame that is being written
	received  []Event
	kept      int                         // octets of payload in received
	onMessage func(binary bool, p []byte) // set by a case that handles messages itself
	verdict   Verdict                     // set by a case that judges by itself
	why       string
	broken    string // the first rule that the peer broke
	measured  time.Duration

	// The closing handshake.
	local, remote *CloseInfo
	badClose      string // the fault of the peer's Close other than its code
	remoteFirst   bool   // the peer's Close arrived before the judge sent one
	closedByMe    bool
	failedByMe    bool
	droppedByMe   bool
	wasClean      bool
	notClean      string
	whyDropped    string
	closeTimedOut bool
	dropTimedOut  bool
	ended         bool
}

// newSession returns a session on conn after the opening handshake. c is nil
// for a session without a case.
func newSession(conn net.Conn, role Role, c *Case, o Options) *session {
	s := &session{
		c: c, role: role, options: o, rounds: cmp.Or(o.Rounds, echoRounds), conn: conn, opened: time.Now(),
		out:     newWriter(conn, pauseOf(c)),
		do:      make(chan func()),
		in:      make(chan []byte),
		back:    make(chan struct{}),
		readErr: make(chan error, 1),
		done:    make(chan struct{}),
		log:     new(wireLog),
	}
	s.reader.check = s.checkHeader
	if c != nil {
		s.script = c.script
	}
	return s
}

// pauseOf returns the pause between octets that are written one by one, or some
// at a time. A case that measures time has no pause, because it would measure
// the pauses.
func pauseOf(c *Case) time.Duration {
	if c != nil && c.measures {
		return 0
	}
	return spacing
}

// run plays the case and returns when TCP has ended. early are the octets that
// the peer sent after its part of the opening handshake.
func (s *session) run(early []byte) {
	go s.read(early)
	if s.c != nil && s.c.play != nil {
		s.c.play(s)
	}
	s.resume()
	var cause error
	for over := false; !over; {
		select {
		case p := <-s.in:
			s.receiveOctets(p)
			s.back <- struct{}{}
		case f := <-s.do:
			f()
		case cause = <-s.readErr:
			over = true
		}
	}
	s.end(cause)
}

var readBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// read passes the octets of the peer to run.
func (s *session) read(early []byte) {
	if len(early) > 0 {
		s.in <- early
		<-s.back
	}
	pooled := readBuffers.Get().(*[64 << 10]byte)
	defer readBuffers.Put(pooled)
	buf := pooled[:]
	for {
		n, err := s.conn.Read(buf)
		if n > 0 {
			s.in <- buf[:n]
			<-s.back
		}
		if err != nil {
			s.readErr <- err
			return
		}
	}
}

// end is called when TCP has ended.
func (s *session) end(cause error) {
	s.ended = true
	close(s.done)
	for _, t := range s.timers {
		t.Stop()
	}
	end := "the peer ended TCP"
	if s.droppedByMe || s.out.finished() {
		end = "the judge ended TCP"
	}
	s.note(LogEndOfTCP, "%s (%v)", end, cause)
	if s.remote != nil && s.reader.partial() {
		s.breach("the octets after its Close are no frame (RFC 6455, 5.5.1)")
		s.wasClean, s.notClean = false, "the peer sent octets after its Close"
	}
	s.out.abort()
	s.conn.Close()
	<-s.out.done
	if !s.wasClean && s.notClean == "" {
		switch {
		case s.local == nil && s.remote == nil:
			s.notClean = "TCP ended without a Close from either side"
		case s.remote == nil:
			s.notClean = "TCP ended without a Close from the peer"
		}
	}
}

// after calls f in d, unless TCP has ended.
func (s *session) after(d time.Duration, f func()) {
	s.timers = append(s.timers, time.AfterFunc(d, func() { s.post(f) }))
}

// post makes run call f. Any goroutine may call it.
func (s *session) post(f func()) {
	select {
	case s.do <- f:
	case <-s.done:
	}
}

// resume runs the steps of the script up to the next wait.
func (s *session) resume() {
	for len(s.script) > 0 {
		next := s.script[0]
		s.script = s.script[1:]
		wait := next(s)
		if wait == nil {
			continue
		}
		s.note(LogTimer, "waiting %v", wait.time)
		s.after(wait.time, func() {
			if s.local != nil || s.remote != nil || s.ended {
				return
			}
			s.note(LogTimer, "waited %v, and the connection is still open", wait.time)
			if wait.tag != "" {
				s.receive(Event{Kind: EventTimeout, Tag: wait.tag})
			}
			s.resume()
		})
		return
	}
}

// judge sets the verdict of a case that judges by itself. The first verdict
// stands.
func (s *session) judge(v Verdict, format string, args ...any) {
	if s.verdict == "" {
		s.verdict = v
		s.why = fmt.Sprintf(format, args...)
		s.note(LogNote, "%s: %s", v, s.why)
	}
}
