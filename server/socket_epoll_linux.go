//go:build !portable

package server

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An epollSocket is one connection's descriptor, as its Conn and its poller see it. It is the Conn's transport.
//
// It is all that a connection has which nothing comes from, with the text of the request and its places in two tables; so
// its size counts: see TestIdleConnectionsAreSmall.
type epollSocket struct {
	conn   Conn
	poller *poller
	addrs  addrPair

	waiting atomic.Int64  // size of backlog; changed under mu
	state   atomic.Uint32 // idle, running, rearm, over

	mu       sync.Mutex     // guards the rest, and the descriptor against being closed
	fd       int32          // -1: closed
	interest interest       // events that epoll reports; 0: the descriptor is not registered
	paused   readPause      // reasons not to read; 0: input is read
	ending   ending         // how far the end has come
	working  bool           // handlers are called with input
	kicked   bool           // the socket is in its poller's kick queue
	emptied  bool           // the backlog has become empty, and the program wants to know
	failed   error          // of writing; later writes fail too
	backlog  *backlog       // output that the system did not take
	more     *socketReserve // nil as long as none of it is needed
}

// socketReserve holds the fields that most sockets do not need before their
// end.
type socketReserve struct {
	ended    chan struct{} // closed at the end, if somebody waits for that
	drained  int           // bytes thrown away
	answers  int           // bytes that were put into the backlog while working, since it was empty
	room     *sync.Cond    // for those who wait for a smaller backlog; nil if nobody ever did
	pending  *backlog      // input that the program was not ready for
	timer    *time.Timer   // calls expire; nil: no deadline is set
	deadline time.Time     // of the timer
	final    bool          // the deadline is that of the connection's end: nothing moves it
}

// reserve returns more, which is made if it is not there.
func (s *epollSocket) reserve() *socketReserve {
	if s.more == nil {
		s.more = new(socketReserve)
	}
	return s.more
}

// The states of a socket.
const (
	idle    uint32 = iota // the next event starts a runner
	running               // one goroutine reads and runs handlers
	rearm                 // running; an event came meanwhile, and no more are reported until release
	over                  // the connection has ended
)

// readPause is a set of reasons not to read.
type readPause uint8

const (
	pausedRunning readPause = 1 << iota // the state rearm
	pausedProgram                       // Handler.Serve is behind: pending waits for it
	pausedBacklog                       // the client does not read the answers to its messages
	pausedEOF                           // the client has ended its side: there is no more input
)

// interest is the set of events that epoll reports for a socket.
//
//	paused   backlog   reported
//	no       no        input
//	no       yes       input, output
//	yes      yes       output
//	yes      no        the hang-up, once
//
// epoll reports a hang-up, that is the end of both directions, whatever it is
// asked for, and as long as it lasts. A socket that is not read from handles it
// all the same: see hangUp. While a runner has the socket, nobody can: that is
// why it is reported once then.
type interest uint8

const (
	interestRead    interest = 1 << iota
	interestWrite            // there is a backlog
	interestHangUp           // only; reported once
	interestNothing          // the hang-up has been reported
)

// events returns the set as epoll has it.
func (i interest) events() (events uint32) {
	if i&interestRead != 0 {
		events |= syscall.EPOLLIN
	}
	if i&interestWrite != 0 {
		events |= syscall.EPOLLOUT
	}
	if i == interestHangUp {
		events |= syscall.EPOLLONESHOT
	}
	return events
}

// add serves the connection fd. start, if it is not nil, is received before anything is read. The error is that fd cannot be
// served; it is the caller's then.
func (l *epollLoop) add(fd int, addrs addrPair, open func(*Conn, transport), start []byte, ended chan struct{}) error {
	if !l.sockets.holds(fd) {
		return fmt.Errorf("websocket: descriptor %d is beyond the %d that the event loop serves: %w", fd, maxDescriptors, syscall.EMFILE)
	}
	p, err := l.enter()
	if err != nil {
		return err
	}
	s := &epollSocket{poller: p, fd: int32(fd), addrs: addrs}
	if ended != nil || start != nil {
		s.more = &socketReserve{ended: ended}
	}
	if start != nil { // as if the program had not been ready for it, and now were
		s.more.pending = s.more.pending.add(start)
		s.paused = pausedProgram
	}
	s.state.Store(running)
	open(&s.conn, s)
	if err := s.register(); err != nil {
		s.conn.cut(err)
		s.finish(err)
	}
	return nil
}

func (s *epollSocket) attach(c *Conn) { c.endpoint.SetCounters(s.poller.lane) }

// register has epoll report events. The caller runs the socket, and afterwards
// does no more, unless there is an error.
func (s *epollSocket) register() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poller.loop.sockets.put(s.fd, s)
	if err := s.control(syscall.EPOLL_CTL_ADD, s.wanted()); err != nil {
		return err
	}
	s.state.Store(idle)
	s.kickIfWork()
	return nil
}

// control tells epoll the events to report. The caller holds mu.
func (s *epollSocket) control(op int, wanted interest) error {
	err := syscall.EpollCtl(s.poller.fd, op, int(s.fd), &syscall.EpollEvent{Events: wanted.events(), Fd: s.fd})
	if err != nil {
		s.interest = 0
		return os.NewSyscallError("epoll_ctl", err)
	}
	s.interest = wanted
	return nil
}

// wanted returns the events to report. The caller holds mu.
func (s *epollSocket) wanted() (i interest) {
	if s.paused == 0 {
		i |= interestRead
	}
	if s.backlog != nil {
		i |= interestWrite
	}
	if i == 0 {
		i = interestHangUp
	}
	return i
}

// updateInterest tells epoll the events to report, if they have changed. The
// caller holds mu.
func (s *epollSocket) updateInterest() {
	if s.fd < 0 || s.interest == 0 {
		return
	}
	wanted := s.wanted()
	if wanted == s.interest {
		return
	}
	if err := s.control(syscall.EPOLL_CTL_MOD, wanted); err != nil {
		s.fail(err)
		s.cut()
		s.kick() // no event will come
	}
}

// setPause adds and removes reasons not to read. The caller holds mu.
func (s *epollSocket) setPause(add, remove readPause) {
	s.paused = s.paused&^remove | add
	s.updateInterest()
}

// ready handles an event. The caller is the poller's leader.
func (s *epollSocket) ready(w *workspace, events uint32) {
	if events != syscall.EPOLLIN && !s.prepare(events) {
		return
	}
	if s.claim() {
		s.run(w)
	}
}

// run takes what has come. The caller has claimed the socket, and gives it up. A handler may end the goroutine: the connection
// has failed then.
func (s *epollSocket) run(w *workspace) {
	returned := false
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				panic(p) // a fault of the server itself
			}
			s.worked()
			s.drain()
		}
		s.release()
	}()
	s.work(w)
	returned = true
}

// prepare does the part of an event's work that needs no claim, and reports
// whether there is more to do.
func (s *epollSocket) prepare(events uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if events&kickEvent != 0 {
		s.kicked = false
	}
	if events&syscall.EPOLLOUT != 0 {
		s.flush()
	}
	if s.interest == interestHangUp && events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		s.interest = interestNothing
	}
	return events&^(kickEvent|syscall.EPOLLOUT) != 0 || s.hasWork()
}

// claim makes the caller the socket's runner, and reports whether it is. If
// another one is, no events are reported until that has done its work.
func (s *epollSocket) claim() bool {
	for {
		if s.state.CompareAndSwap(idle, running) {
			return true
		}
		s.mu.Lock()
		if s.state.CompareAndSwap(running, rearm) {
			s.setPause(pausedRunning, 0)
		}
		now := s.state.Load()
		s.mu.Unlock()
		if now != idle { // the other has not done it in the meantime
			return false
		}
	}
}

// release is the opposite of claim.
func (s *epollSocket) release() {
	if s.state.CompareAndSwap(running, idle) || s.state.Load() == over {
		return
	}
	s.mu.Lock() // so that claim has done its part
	defer s.mu.Unlock()
	s.state.Store(idle)
	s.setPause(0, pausedRunning)
	s.kickIfWork() // the event for that may have come before
}

// work does what there is to do. The caller runs the socket.
func (s *epollSocket) work(w *workspace) {
	do := s.begin()
	for do.tellDrained { // again, if the backlog became empty while the handler ran
		if !s.tellDrained(w) {
			return
		}
		do = s.begin()
	}
	switch {
	case do.end:
		s.finish(io.EOF)
		return
	case do.wait:
		if err := s.hangUp(); err != nil {
			s.finish(err)
		}
		return
	}
	var b []byte
	all := false
	if do.pending != nil {
		b = do.pending.rest()
	} else {
		in := s.conn.endpoint.ReadBuffer(roomSize)
		if in == nil {
			in = w.input
		}
		n, err := sysRead(s.fd, in)
		switch {
		case err == syscall.EAGAIN:
			s.worked()
			return
		case err != nil:
			s.finish(os.NewSyscallError("read", err))
			return
		case n == 0:
			s.readEOF()
			return
		}
		b, all = in[:n], n < len(in)
	}
	if do.discard {
		do.pending.free()
		if s.discard(len(b)) > maxDrained {
			s.finish(nil)
		}
		return
	}
	if do.cork {
		s.cork(w)
	}
	rest, more := s.conn.receive(b)
	if do.pending != nil {
		do.pending = do.pending.take(len(b) - len(rest))
	}
	if !more && len(rest) == 0 && s.conn.parted() && (all || s.nothingWaits(w)) && s.closeIfDone() {
		return
	}
	if more && (len(rest) > 0 || !s.conn.takesMore()) {
		if do.pending == nil && len(rest) > 0 {
			do.pending = do.pending.add(rest)
		}
		s.pause(do.pending)
	}
	s.worked()
	if !more {
		s.drain()
	}
}

// task is the work of a runner.
type task struct {
	tellDrained bool     // before anything else
	end         bool     // the connection ends: the client has ended its side, and has been served
	wait        bool     // the program is not ready
	pending     *backlog // input that receive did not take the last time; the runner's own
	discard     bool     // input is thrown away
	cork        bool     // the answers can be collected
}

// begin returns the runner's work, and notes that handlers will be called.
func (s *epollSocket) begin() (do task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.interest == 0:
		do.end = true
	case s.emptied:
		s.emptied, do.tellDrained = false, true
	case s.paused&pausedEOF != 0:
		do.end = s.served()
		do.wait = !do.end
	case s.paused&pausedProgram != 0 && !s.conn.takesMore():
		do.wait = true
	default:
		do.pending, do.discard, do.cork = s.takePending(), s.ending != notEnding, s.collects()
		s.paused &^= pausedProgram // epoll is told in worked, if it is not paused again
		s.working = !do.discard
	}
	return do
}

// collects reports whether what is sent can be collected: nobody waits for room in the backlog, or has to. The caller holds mu.
func (s *epollSocket) collects() bool { return s.backlog == nil && !s.conn.endpoint.HasBackpressure() }

// cork has the frames that are sent collected in w, unless w's leader has been
// replaced: then nobody would write them before the handlers return, because
// the watchdog has looked already.
func (s *epollSocket) cork(w *workspace) {
	s.conn.endpoint.Cork(w.cork)
	if w.replaced() {
		s.conn.endpoint.Uncork()
	}
}

// tellDrained tells the program that the backlog has become empty. It reports whether the connection goes on. The caller runs
// the socket.
func (s *epollSocket) tellDrained(w *workspace) bool {
	s.mu.Lock()
	s.working = true
	corked := s.collects()
	s.mu.Unlock()
	if corked {
		s.cork(w)
	}
	more := s.conn.drain()
	s.worked()
	if !more {
		s.drain()
	}
	return more
}

// worked is called when the handlers have returned: what they have sent is
// written. If the client does not take it, no more is read from it.
func (s *epollSocket) worked() {
	s.conn.endpoint.Uncork()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working = false
	if s.backlog != nil && s.more != nil && s.more.answers > s.conn.server.chokedAt() && s.ending == notEnding {
		s.paused |= pausedBacklog
	}
	if s.ending != notEnding {
		s.setFinalDeadline(s.conn.lingerTime())
	}
	s.updateInterest()
	s.shutdownWrite()
}

// pause keeps the input that the program is not ready for, until Resume; nil if
// there is none. The caller runs the socket.
func (s *epollSocket) pause(pending *backlog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pending != nil {
		s.reserve().pending = pending
	}
	s.paused |= pausedProgram
	s.kickIfWork() // it may have got ready before it could see the pause
}

// readEOF is called when the client has ended its side. It may still read: what
// it has sent is answered before the connection ends. The caller runs the
// socket.
func (s *epollSocket) readEOF() {
	s.conn.inputEnded()
	s.mu.Lock()
	s.working = false
	if s.ending != notEnding {
		s.setFinalDeadline(s.conn.lingerTime())
	}
	s.paused |= pausedEOF
	served := s.served()
	s.updateInterest()
	s.mu.Unlock()
	if served {
		s.finish(io.EOF)
	}
}

// served reports whether a client that has ended its side has got all answers,
// or cannot get them. The caller holds mu.
func (s *epollSocket) served() bool {
	switch {
	case s.failed != nil:
		return true
	case s.backlog != nil:
		return false
	case s.ending == notEnding:
		return s.conn.takesEnd()
	}
	return s.ending >= writeShut // else a sender is inside a frame
}

// hangUp returns the error of a socket whose both directions have ended, nil if
// they have not. The caller runs the socket.
func (s *epollSocket) hangUp() error {
	if !sysHungUp(s.fd) {
		return nil
	}
	if errno, err := syscall.GetsockoptInt(int(s.fd), syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && errno != 0 {
		return os.NewSyscallError("read", syscall.Errno(errno))
	}
	return io.EOF // finish knows better, if a write has got the error
}

// Resume has the rest of the input received that the program was not ready for.
func (s *epollSocket) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kickIfWork()
}

// kickIfWork has the poller run the socket, if there is work that no event of
// the descriptor tells. The caller holds mu.
func (s *epollSocket) kickIfWork() {
	if s.hasWork() {
		s.kick()
	}
}

// kick has the poller run the socket. The caller holds mu; and so the poller
// lives as long as the descriptor is open.
func (s *epollSocket) kick() {
	if s.fd >= 0 && !s.kicked {
		s.kicked = true
		s.poller.kick(s.fd)
	}
}

// hasWork reports whether there is work that no event of the descriptor tells:
// the program is to be told that the backlog is empty, or is ready for more
// input, or for the end of it; or epoll has failed. The caller holds mu.
func (s *epollSocket) hasWork() bool {
	switch {
	case s.emptied, s.interest == 0:
		return true
	case s.paused&pausedEOF != 0:
		return s.served()
	case s.paused&pausedProgram != 0:
		return s.conn.takesMore()
	}
	return false
}

// takePending returns the input that the program was not ready for, nil if
// there is none, and does not keep it. The caller holds mu.
func (s *epollSocket) takePending() (pending *backlog) {
	if s.more != nil {
		pending, s.more.pending = s.more.pending, nil
	}
	return pending
}

// LocalAddr returns the address of this side.
func (s *epollSocket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.local()) }

// RemoteAddr returns the address of the client, or of the proxy before it.
func (s *epollSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.remote()) }
