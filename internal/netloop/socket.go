//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fibersock/fibersock/internal/lockorder"
)

// PolledSocket is a socket of the polled loop. It is embedded in its connection,
// and is, with that, the whole footprint of an idle connection.
type PolledSocket struct {
	conn   Conn
	poller *poller
	addrs  addrPair

	buffered atomic.Int64  // size of out; changed under mu
	owner    atomic.Uint32 // ownerNone, ownerRunning, ownerMissed, ownerClosed

	mu       lockorder.Socket // guards the rest, and the descriptor against being closed
	fd       int32            // -1: closed
	state    endState         // how far the end is; changed by step
	interest interest         // events that the kernel reports; 0: the descriptor is not registered
	paused   readPause        // reasons not to read; 0: input is read
	flags    socketFlags
	out      *writeBuf  // output that the kernel has not accepted
	ext      *socketExt // nil as long as none of it is needed
}

// socketExt has the fields that most sockets do not need before their end.
type socketExt struct {
	ended     chan struct{} // closed at the end; nil if no caller waits
	discarded int           // bytes of input that were discarded
	replies   int           // bytes buffered by handlers since out was empty
	space     *sync.Cond    // signals a smaller out; nil until the first waiter
	pending   *writeBuf     // input that the connection was not ready for
	failed    error         // of writing; nil: none, or net.ErrClosed
	timer     *time.Timer   // calls expire; nil: no deadline is set
	deadline  time.Time     // of the timer
	final     bool          // the deadline bounds the socket's life and is not moved
}

// ensureExt returns ext and allocates it if it is nil.
func (s *PolledSocket) ensureExt() *socketExt {
	if s.ext == nil {
		s.ext = new(socketExt)
	}
	return s.ext
}

// socketFlags is a set of conditions.
type socketFlags uint8

const (
	flagHandling  socketFlags = 1 << iota // handlers are running
	flagKicked                            // the socket is in its poller's kick queue
	flagWritable                          // Conn.Writable must be called
	flagExchanged                         // the peer expects no more: see Socket.CloseWrite
	flagFailed                            // writing has failed: see failure
	flagDeferred                          // out has not been passed to the kernel yet
	flagLarge                             // the last message was large
	flagLast                              // FIN follows the collected output
)

// readPause is a set of reasons not to read.
type readPause uint8

const (
	pausedRunning readPause = 1 << iota // the owner is ownerMissed
	pausedConn                          // the connection is not ready: pending waits for it
	pausedBacklog                       // the peer does not read the replies to its messages
)

// interest is the set of events that the kernel reports for a socket.
//
//	paused   backlog   reported
//	no       no        input
//	no       yes       input, output
//	yes      yes       output
//	yes      no        the hang-up, once
//
// A hang-up, the end of both directions, is reported in each of these sets: by
// epoll as long as it lasts, by kqueue once for the end of the output. A socket
// that is not read from handles it all the same: see hangUp. While the socket
// has an owner, nobody can handle it, and so it is reported once.
type interest uint8

const (
	interestRead    interest = 1 << iota
	interestWrite            // out is not empty
	interestHangUp           // only; reported once
	interestNothing          // the hang-up has been reported
)

// add serves the connection fd. first, if it is not nil, is passed to Received
// before any read. If it returns an error, fd still belongs to the caller.
func (l *polledLoop) add(fd int, addrs addrPair, open Open, first []byte, ended chan struct{}) error {
	if !l.sockets.holds(fd) {
		return fmt.Errorf("websocket: descriptor %d exceeds the event loop's maximum (%d): %w", fd, maxDescriptors-1, syscall.EMFILE)
	}
	p, err := l.enter()
	if err != nil {
		return err
	}
	conn, s := open(true)
	s.init(conn, p, fd, addrs)
	if ended != nil || first != nil {
		s.ext = &socketExt{ended: ended}
	}
	if first != nil { // as if the connection had not been ready for it, and now were
		s.ext.pending = s.ext.pending.add(first)
		s.paused = pausedConn
	}
	conn.Started(s)
	if err := s.register(); err != nil {
		s.close(err)
	}
	return nil
}

// init sets up a zero socket and makes the caller its owner.
func (s *PolledSocket) init(conn Conn, p *poller, fd int, addrs addrPair) {
	s.conn, s.poller, s.fd, s.addrs, s.state = conn, p, int32(fd), addrs, stateOpen
	s.owner.Store(ownerRunning)
}

// register has the kernel report events. The caller gives up the socket if there
// is no error.
func (s *PolledSocket) register() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poller.loop.sockets.put(s.fd, s)
	if err := s.control(s.wanted()); err != nil {
		return err
	}
	s.owner.Store(ownerNone)
	s.kickIfWork()
	return nil
}

// control tells the kernel the events to report. The caller holds mu.
func (s *PolledSocket) control(wanted interest) error {
	if err := s.poller.sys.watch(s.poller.fd, s.fd, s.interest, wanted); err != nil {
		s.interest = 0
		return os.NewSyscallError(watchCall, err)
	}
	s.interest = wanted
	return nil
}

// wanted returns the events to report. The caller holds mu.
func (s *PolledSocket) wanted() (i interest) {
	if s.paused == 0 && s.state.reads() {
		i |= interestRead
	}
	if s.backlogged() {
		i |= interestWrite
	}
	if i == 0 {
		i = interestHangUp
	}
	return i
}

// arm tells the kernel the events to report, if they have changed. The caller
// holds mu.
func (s *PolledSocket) arm() {
	if s.fd < 0 || s.interest == 0 {
		return
	}
	wanted := s.wanted()
	if wanted == s.interest {
		return
	}
	if err := s.control(wanted); err != nil {
		s.fail(err)
		s.step(eventAbort)
		s.kick() // no event will be reported
	}
}

// step makes the transition of endTable for ev. The caller holds mu.
func (s *PolledSocket) step(ev endEvent) {
	if endTable[s.state][ev].do&doFlush != 0 {
		s.flushDeferred()
	}
	t := endTable[s.state][ev]
	if t.next == 0 {
		return
	}
	s.state = t.next
	if t.do&doShutdown != 0 {
		s.fail(net.ErrClosed)
		s.poller.sys.shutdown(s.fd, syscall.SHUT_RDWR)
	}
	if t.do&doCloseWrite != 0 {
		s.poller.sys.shutdown(s.fd, syscall.SHUT_WR)
	}
	if t.do&doUnpause != 0 {
		s.paused &= pausedRunning
		s.takePending().free()
	}
	if t.do&doLinger != 0 && s.flags&flagHandling == 0 { // else it is done when the handlers have returned
		s.setFinalDeadline()
	}
	if t.do&doArm != 0 {
		s.arm()
	}
	if t.do&doKick != 0 {
		s.kickIfWork()
	}
}

// Resume tells the loop that Conn.Ready may report true.
func (s *PolledSocket) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step(eventResume)
}

// kickIfWork has the poller run the socket, if there is work that no event of
// the descriptor reports. The caller holds mu.
func (s *PolledSocket) kickIfWork() {
	if s.hasWork() {
		s.kick()
	}
}

// kick has the poller run the socket. The caller holds mu; and so the poller
// lives as long as the descriptor is open.
func (s *PolledSocket) kick() {
	if s.fd >= 0 && s.flags&flagKicked == 0 {
		s.flags |= flagKicked
		s.poller.kick(s.fd)
	}
}

// hasWork reports whether there is work that no event of the descriptor
// reports. The caller holds mu.
func (s *PolledSocket) hasWork() bool {
	switch {
	case s.fd < 0:
		return false
	case s.flags&flagWritable != 0, s.interest == 0:
		return true
	case s.state.inputOver():
		return s.answered()
	case s.paused&pausedConn != 0:
		return s.acceptsInput()
	}
	return false
}

// acceptsInput reports whether input can be passed to the connection: the peer
// reads the replies, and the connection is ready. The caller holds mu.
func (s *PolledSocket) acceptsInput() bool {
	return s.paused&pausedBacklog == 0 && (s.paused&pausedConn == 0 || s.conn.Ready())
}

// takePending removes and returns the input that the connection was not ready
// for, nil if there is none. The caller holds mu. Many connections need ext for
// their first input only: it is freed then.
func (s *PolledSocket) takePending() (pending *writeBuf) {
	if s.ext != nil {
		pending, s.ext.pending = s.ext.pending, nil
		if *s.ext == (socketExt{}) {
			s.ext = nil
		}
	}
	return pending
}

// Shard returns the index of the socket's poller.
func (s *PolledSocket) Shard() int { return s.poller.index }

// LocalAddr returns the address of this side.
func (s *PolledSocket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.local()) }

// RemoteAddr returns the address of the peer, or of the proxy before it.
func (s *PolledSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.remote()) }
