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
	state   atomic.Uint32 // idle, running, deaf, over

	mu        sync.Mutex // guards the rest, and the descriptor against being closed
	fd        int32      // -1: closed
	quiet     quiet      // why input is not waited for; 0: it is
	ending    ending
	flushing  bool           // that output is possible is waited for
	armed     bool           // epoll knows the descriptor
	working   bool           // handlers are called with what was received
	attending bool           // attend is about to run
	emptied   bool           // the backlog has become empty, which the program wants to know
	failed    error          // of writing; what comes after it fails too
	backlog   *backlog       // what the system did not take
	more      *socketReserve // nil as long as none of it is needed
}

// socketReserve is what most sockets do not need before their end.
type socketReserve struct {
	ended   chan struct{} // closed at the end, if somebody waits for that
	drained int           // bytes thrown away
	answers int           // bytes that were put into the backlog while working, since it was empty
	room    *sync.Cond    // for those who wait for a smaller backlog; nil if nobody ever did
	rest    []byte        // input that the program was not ready for
	timer   *time.Timer
}

// reserve returns more, which is made if it is not there. The caller holds mu.
func (s *epollSocket) reserve() *socketReserve {
	if s.more == nil {
		s.more = new(socketReserve)
	}
	return s.more
}

// The states of a socket.
const (
	idle    uint32 = iota // whoever has an event may go to work
	running               // somebody reads and runs handlers
	deaf                  // running; an event came meanwhile, and no more are wanted until that is over
	over                  // the connection has ended
)

// quiet is a set of reasons not to read.
type quiet uint8

const (
	quietDeaf    quiet = 1 << iota // the state deaf
	quietProgram                   // the program is behind: rest waits for it
	quietBacklog                   // the client does not take the answers to what it sends
)

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
		s.more = &socketReserve{ended: ended, rest: start}
	}
	if start != nil { // as if the program had not been ready for it, and now were
		s.quiet, s.flushing = quietProgram, true
	}
	s.state.Store(running)
	open(&s.conn, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	l.sockets.put(s.fd, s)
	s.state.Store(idle)
	s.arm()
	return nil
}

func (s *epollSocket) attach(c *Conn) { c.lane = s.poller.lane }

// arm tells epoll what is waited for. The caller holds mu.
func (s *epollSocket) arm() {
	if s.fd < 0 {
		return
	}
	var events uint32
	if s.quiet == 0 {
		events |= syscall.EPOLLIN
	}
	if s.flushing {
		events |= syscall.EPOLLOUT
	}
	if events == 0 {
		events = syscall.EPOLLONESHOT // or a hang-up would be told over and over
	}
	op := syscall.EPOLL_CTL_MOD
	if !s.armed {
		op, s.armed = syscall.EPOLL_CTL_ADD, true
	}
	// It fails for want of memory only, and then the client's Pings will not be answered.
	_ = syscall.EpollCtl(s.poller.fd, op, int(s.fd), &syscall.EpollEvent{Events: events, Fd: s.fd})
}

// hush adds and takes away reasons not to read. The caller holds mu.
func (s *epollSocket) hush(add, remove quiet) {
	was := s.quiet
	s.quiet = s.quiet&^remove | add
	if (was == 0) != (s.quiet == 0) && s.armed {
		s.arm()
	}
}

// ready does what an event asks for.
func (s *epollSocket) ready(w *workspace, events uint32) {
	if events&syscall.EPOLLOUT != 0 {
		s.flush()
	}
	if events == syscall.EPOLLOUT && !s.resumed() {
		return
	}
	if !s.claim() {
		return
	}
	s.work(w)
	s.release()
}

// claim makes the caller the one who runs the socket, and reports whether it is. If another one is, there will be no
// events until that has done its work.
func (s *epollSocket) claim() bool {
	for {
		if s.state.CompareAndSwap(idle, running) {
			return true
		}
		s.mu.Lock()
		if s.state.CompareAndSwap(running, deaf) {
			s.hush(quietDeaf, 0)
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
	s.mu.Lock() // so that the one who made it deaf is done with that
	defer s.mu.Unlock()
	s.state.Store(idle)
	s.hush(0, quietDeaf)
	s.resume() // the event for that may have come while it was deaf
}

// work takes what has come. The caller runs the socket.
func (s *epollSocket) work(w *workspace) {
	do := s.begin()
	if do.tellDrained {
		if !s.tellDrained(w) {
			return
		}
		do = s.begin()
	}
	b, all := do.rest, false
	if b == nil {
		in := s.conn.endpoint.Room(roomSize)
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
			s.finish(io.EOF)
			return
		}
		b, all = in[:n], n < len(in)
	}
	if do.discard {
		if s.discard(len(b)) > maxDrained {
			s.finish(nil)
		}
		return
	}
	if do.cork {
		s.conn.endpoint.Cork(w.cork)
	}
	rest, more := s.conn.receive(b)
	if !more && len(rest) == 0 && s.conn.parted() && (all || s.nothingWaits(w)) && s.part() {
		return
	}
	s.worked()
	switch {
	case !more:
		s.drain()
	case len(rest) > 0 || !s.conn.takesMore():
		s.pause(rest)
	}
}

// task is what there is to do for who runs the socket.
type task struct {
	tellDrained bool   // before anything else
	rest        []byte // what receive did not take the last time
	discard     bool   // what comes is thrown away
	cork        bool   // the answers can be collected
}

// begin returns what there is to do, and notes that handlers will be called.
func (s *epollSocket) begin() task {
	s.mu.Lock()
	do := task{tellDrained: s.emptied}
	if s.emptied {
		s.emptied = false
	} else {
		do.rest, do.discard, do.cork = s.forget(), s.ending != notEnding, s.collects()
		s.hush(0, quietProgram)
		s.working = !do.discard
	}
	s.mu.Unlock()
	return do
}

// collects reports whether what is sent can be collected: nobody waits for room in the backlog, or has to. The caller holds mu.
func (s *epollSocket) collects() bool { return s.backlog == nil && !s.conn.endpoint.HasBackpressure() }

// tellDrained tells the program that the backlog has become empty. It reports whether the connection goes on. The caller runs
// the socket.
func (s *epollSocket) tellDrained(w *workspace) bool {
	s.mu.Lock()
	s.working = true
	corked := s.collects()
	s.mu.Unlock()
	if corked {
		s.conn.endpoint.Cork(w.cork)
	}
	more := s.conn.drain()
	s.worked()
	if !more {
		s.drain()
	}
	return more
}

// worked is called when the handlers have returned: what they have sent is written. If the client does not take it, it shall
// not have more of them.
func (s *epollSocket) worked() {
	s.conn.endpoint.Uncork()
	s.mu.Lock()
	s.working = false
	if s.backlog != nil && s.more != nil && s.more.answers > s.conn.server.chokedAt() && s.ending == notEnding {
		s.hush(quietBacklog, 0)
	}
	s.sayAll()
	s.mu.Unlock()
}

// pause keeps what the program is not ready for, until Resume.
func (s *epollSocket) pause(rest []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserve().rest = append([]byte(nil), rest...)
	s.hush(quietProgram, 0)
	s.resume() // it may have got ready before it could see that we wait
}

// Resume has what receive did not take taken.
func (s *epollSocket) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resume()
}

// resume makes an event if there is something to do, because it is the poller's part to run handlers. The caller holds mu.
func (s *epollSocket) resume() {
	if !s.due() {
		return
	}
	if !s.flushing {
		s.flushing = true // if output is possible, an event comes at once
		if s.armed {
			s.arm()
		}
	}
	s.insist()
}

// insist is for an event that resume waits for, and that does not come because the client does not read: what it has sent is
// taken all the same. The caller holds mu.
func (s *epollSocket) insist() {
	if s.quiet&quietProgram != 0 && s.flushing && s.backlog == nil && !s.attending && s.fd >= 0 && !sysWritable(s.fd) {
		s.attending = true
		go s.attend()
	}
}

// attend does the poller's work, for once.
func (s *epollSocket) attend() {
	s.mu.Lock()
	s.attending = false
	due := s.due()
	s.mu.Unlock()
	if !due || !s.claim() {
		return
	}
	w := newWorkspace()
	s.work(w)
	workspaces.Put(w)
	s.release()
}

// resumed reports whether there is something to do besides what events tell.
func (s *epollSocket) resumed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due()
}

// due reports whether there is rest to be taken, and the program is ready for it, or the program is to be told that the
// backlog is empty. The caller holds mu.
func (s *epollSocket) due() bool {
	return s.emptied || s.quiet&quietProgram != 0 && s.conn.takesMore()
}

// forget returns what receive did not take the last time, nil if nothing, and does not keep it. The caller holds mu.
func (s *epollSocket) forget() (rest []byte) {
	if s.more != nil {
		rest, s.more.rest = s.more.rest, nil
	}
	return rest
}

// LocalAddr returns the address of this side.
func (s *epollSocket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.local()) }

// RemoteAddr returns the address of the client, or of the proxy before it.
func (s *epollSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.remote()) }
