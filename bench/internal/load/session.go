package load

import (
	"fmt"
	"time"
)

// state is the state of a connection.
type state uint8

const (
	idle    state = iota // never had a connection
	opening              // TCP connects, the request is sent, the response is expected
	opened               // messages and replies
	closing              // our Close is sent, the server's is expected
	closed               // the server's Close has arrived; it must end TCP (RFC 6455, Section 7.1.1)
	ended                // the connection is over and the shell closes its socket
)

// session is one connection without its socket: output and expected input. A
// shell moves the bytes. One goroutine at a time uses the sessions of a run.
type session struct {
	run    *run
	index  int
	script *script
	state  state
	life   int  // counts the connections that the session had
	marked bool // in run.attention

	began    time.Duration // when the connection was begun
	since    time.Duration // start of the current wait
	heard    time.Duration // time of the last input
	patience time.Duration // limit of a wait without input

	upgrade *upgrade
	head    []byte // the incomplete response

	due         int64           // replies that may have arrived; the loads raise it with issue or expect
	received    int64           // right replies
	variant     int             // of the next reply
	joining     bool            // the first reply may be any that is due (Broadcast)
	untilVerify int             // replies until one is compared byte by byte
	times       []time.Duration // of issue, by number of the message modulo length

	out outgoing
	in  incoming
}

// outgoing is the ordered output of a session. A send may be reported after its
// reply has arrived.
type outgoing struct {
	request   []byte
	subscribe []byte // the message behind the request; none if empty
	ring      *ring
	next      int // index in ring of the current message, below the number of variants
	queued    int // messages to send
	offset    int // bytes of the first of them that were sent
	close     []byte
}

// open begins a connection.
func (s *session) open(now time.Duration) {
	rings := s.script.rings
	s.state, s.began, s.since, s.heard = opening, now, now, now
	s.life++
	s.upgrade = s.run.newUpgrade(s.index)
	s.out = outgoing{request: s.upgrade.request, ring: rings[s.index%len(rings)]}
	s.in = incoming{head: s.in.head[:0], collected: s.in.collected[:0]}
	s.head = s.head[:0]
	s.due, s.received, s.variant = 0, 0, 0
	s.run.mark(s)
}

// issue hands n more messages to the connection; each has a reply.
func (s *session) issue(n int, now time.Duration) {
	for i := range int64(n) {
		s.times[(s.due+i)%int64(len(s.times))] = now
	}
	s.out.queued += n
	s.expect(n, now)
	s.run.mark(s)
}

// expect makes n more replies due.
func (s *session) expect(n int, now time.Duration) {
	if s.received == s.due {
		s.since = now
	}
	s.due += int64(n)
}

// issuedAt returns the time at which the message of the n-th last reply was
// issued.
func (s *session) issuedAt(n int) time.Duration {
	return s.times[(s.received-int64(n))%int64(len(s.times))]
}

// close begins the closing handshake (RFC 6455, Section 7.1.2). No reply is
// due.
func (s *session) close(now time.Duration) {
	s.state, s.since = closing, now
	s.out.close = normalClose
	s.run.mark(s)
}

// output returns the next output, or nothing. It stays valid and unchanged for
// the run.
func (s *session) output() []byte {
	o := &s.out
	switch {
	case len(o.request) > 0:
		return o.request
	case len(o.subscribe) > 0:
		return o.subscribe
	case o.queued == 0:
		return o.close
	}
	r := o.ring
	last := min(o.next+o.queued, len(r.starts)-1)
	return r.frames[r.starts[o.next]+o.offset : r.starts[last]]
}

// wrote removes n bytes from the output.
func (s *session) wrote(n int) {
	o := &s.out
	switch {
	case len(o.request) > 0:
		o.request = o.request[n:]
		return
	case len(o.subscribe) > 0:
		o.subscribe = o.subscribe[n:]
		return
	case o.queued == 0:
		o.close = o.close[n:]
		return
	}
	starts := o.ring.starts
	end := starts[o.next] + o.offset + n
	for o.next < len(starts)-1 && starts[o.next+1] <= end {
		o.next++
		o.queued--
	}
	o.offset = end - starts[o.next]
	o.next %= s.script.variants
}

// receive handles input of the server, at least one byte. It does not keep p.
func (s *session) receive(p []byte, now time.Duration) error {
	s.heard = now
	if s.state == opening {
		return s.receiveResponse(p, now)
	}
	before := s.received
	for len(p) > 0 {
		used, err := s.wholeReplies(p)
		if err == nil && used == 0 {
			used, err = s.frame(p, now)
		}
		if err != nil {
			return err
		}
		p = p[used:]
	}
	s.tell(before, now)
	return nil
}

// skippable returns the number of next bytes that need no check. The shell may
// drop up to as many and call skipped.
func (s *session) skippable() int {
	if s.state != opened {
		return 0
	}
	return s.in.skippable(s.script)
}

// skipped records n dropped bytes.
func (s *session) skipped(n int, now time.Duration) error {
	s.heard = now
	before := s.received
	if err := s.advance(n, now); err != nil {
		return err
	}
	s.tell(before, now)
	return nil
}

func (s *session) tell(before int64, now time.Duration) {
	if n := int(s.received - before); n > 0 {
		s.run.load.replied(s, n, now)
	}
}

// receiveResponse handles the server's opening handshake. Bytes after it are no
// reply, because no message was sent.
func (s *session) receiveResponse(p []byte, now time.Duration) error {
	s.head = append(s.head, p...)
	end := responseEnd(s.head)
	if end == 0 {
		if len(s.head) > maxResponse {
			return s.fault("a response to the opening handshake", fmt.Sprintf("%d bytes without its end", len(s.head)))
		}
		return nil
	}
	if wrong := s.upgrade.check(s.head[:end]); wrong != nil {
		return s.fault(wrong.want+" in answer to the opening handshake", wrong.got)
	}
	s.state = opened
	if rest := s.head[end:]; len(rest) > 0 {
		if err := s.receive(rest, now); err != nil {
			return err
		}
	}
	s.run.opened(s, now)
	return nil
}

// lost records the end of TCP, with a nil cause for an orderly one, which is
// correct only after our Close.
func (s *session) lost(cause error, now time.Duration) error {
	atFrame := !s.in.begun()
	switch {
	case s.state == ended:
		return nil
	case s.state == closing && atFrame:
		s.run.result.Abrupt++
	case s.state != closed:
		f := s.fault(s.awaited(), "the end of TCP"+s.partial())
		if cause != nil {
			f.Got, f.Err = cause.Error()+s.partial(), cause
		}
		return f
	}
	s.state = ended
	s.run.mark(s)
	s.run.load.ended(s, now)
	return nil
}

// unconnected records that TCP could not be opened.
func (s *session) unconnected(cause error) error {
	f := s.fault("a TCP connection to "+s.run.Addr, cause.Error()+limitOf(cause))
	f.Err = cause
	return f
}

// overdue is a fault when the session has waited in vain for longer than its
// patience.
func (s *session) overdue(now time.Duration) error {
	waits := s.state == opening || s.state == closing || s.state == closed || s.state == opened && s.received < s.due
	if !waits || now-max(s.since, s.heard) < s.patience {
		return nil
	}
	return s.fault(s.awaited(), fmt.Sprintf("nothing for %v%s", s.patience, s.partial()))
}

// awaited names the expected input.
func (s *session) awaited() string {
	switch s.state {
	case opening:
		return "a response to the opening handshake"
	case closing:
		return "Close in answer to Close"
	case closed:
		return "the end of TCP after Close (RFC 6455, Section 7.1.1)"
	}
	if s.received == s.due {
		return "nothing, as no reply is due"
	}
	return s.script.wanted()
}

// partial describes the received part of the expected input, for the end of a
// sentence.
func (s *session) partial() string {
	if s.state == opening && len(s.head) > 0 {
		return fmt.Sprintf(" after %d bytes of the response", len(s.head))
	}
	return s.in.partial()
}

func (s *session) fault(want, got string) *Fault {
	return &Fault{Conn: s.index, Replies: s.received, Want: want, Got: got}
}
