//go:build !portable

package server

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// An epollSocket is one connection's descriptor, as its Conn and its poller see it. It is the Conn's transport.
type epollSocket struct {
	conn   *Conn
	poller *poller
	ended  chan struct{} // closed at the end, if somebody waits for that
	addrs  addrPair

	state   atomic.Uint32 // idle, running, deaf, over
	waiting atomic.Int64  // size of backlog; changed under mu

	mu        sync.Mutex // guards the rest, and the descriptor against being closed
	fd        int32      // -1: closed
	quiet     quiet      // why input is not waited for; 0: it is
	flushing  bool       // that output is possible is waited for
	armed     bool       // epoll knows the descriptor
	ending    ending
	drained   int32      // bytes thrown away
	cork      *workspace // where output goes as long as the connection is at work; nil: to the system
	failed    error      // of writing; what comes after it fails too
	backlog   *backlog   // what the system did not take
	working   bool       // handlers are called with what was received
	answers   int        // bytes that were put into the backlog meanwhile, since it was empty
	blocks    bool       // data frames wait for room in it
	emptied   bool       // it has become empty, which the program wants to know
	attending bool       // attend is about to run
	room      *sync.Cond // for writers that wait for a smaller backlog; nil unless blocks
	rest      []byte     // input that the program was not ready for
	timer     *time.Timer
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

// ending is how far a socket's end has come.
type ending uint8

const (
	notEnding ending = iota
	lastWords        // nothing more will be written than what is in the cork and the backlog
	saidAll          // the client was told that no more will come
	cutOff           // Close was called
)

// maxDrained bounds, in bytes, what is read and thrown away at a connection's end.
const maxDrained = 1 << 20

// add serves the connection fd. first, if it is not nil, is done before anything is read; it returns what has been read, and
// whether the connection goes on. The error is that fd cannot be served; it is the caller's then.
func (l *epollLoop) add(fd int, addrs addrPair, open func(transport) *Conn, first func(*Conn) (rest []byte, more bool), ended chan struct{}) error {
	p, err := l.enter()
	if err != nil {
		return err
	}
	s := &epollSocket{poller: p, fd: int32(fd), addrs: addrs, ended: ended}
	s.state.Store(running)
	open(s)
	if first != nil {
		if rest, more := first(s.conn); !more {
			s.drain()
		} else if len(rest) > 0 {
			s.pause(rest)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.sockets.put(s.fd, s)
	s.state.Store(idle)
	s.arm()
	return nil
}

func (s *epollSocket) attach(c *Conn) { s.conn, c.lane = c, s.poller.lane }

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
	w.current.Store(s)
	s.work(w)
	w.current.Store(nil)
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
	if !s.tellDrained(w) {
		return
	}
	b := s.takeRest()
	if b == nil {
		n, err := sysRead(s.fd, w.input)
		switch {
		case err == syscall.EAGAIN:
			return
		case err != nil:
			s.finish(os.NewSyscallError("read", err))
			return
		case n == 0:
			s.finish(io.EOF)
			return
		}
		b = w.input[:n]
	}
	if s.saidAll() {
		if s.drained += int32(len(b)); s.drained > maxDrained {
			s.finish(nil)
		}
		return
	}
	s.corkBy(w)
	rest, more := s.conn.receive(b)
	s.worked()
	switch {
	case !more:
		s.drain()
	case len(rest) > 0 || !s.conn.takesMore():
		s.pause(rest)
	}
}

// tellDrained calls the program if the backlog has become empty and the program wants to know. It reports whether the
// connection goes on. The caller runs the socket.
func (s *epollSocket) tellDrained(w *workspace) bool {
	s.mu.Lock()
	due := s.emptied
	s.emptied = false
	s.mu.Unlock()
	if !due {
		return true
	}
	s.corkBy(w)
	more := s.conn.drain()
	s.worked()
	if !more {
		s.drain()
	}
	return more
}

// corkBy notes that handlers will be called, and has output collected in w.
func (s *epollSocket) corkBy(w *workspace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cork, s.working = w, true
}

// worked is called when the handlers have returned. If the client does not take their answers, it shall not have more of them.
func (s *epollSocket) worked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncorked()
	s.cork, s.working = nil, false
	if s.backlog != nil && s.answers > s.conn.server.chokedAt() && s.ending == notEnding {
		s.hush(quietBacklog, 0)
	}
	s.sayAll()
}

// finish ends the connection: the descriptor is closed, and the Conn is told why. The caller runs the socket.
func (s *epollSocket) finish(err error) {
	s.state.Store(over)
	s.mu.Lock()
	if late, ok := s.failed.(*socket.TimeoutError); ok {
		err = late // of which this is only the effect
	}
	if s.ending == saidAll {
		err = nil // it was wanted
	}
	if late, ok := s.failed.(*socket.TimeoutError); ok {
		err = late // the rest is only what came of that
	}
	s.poller.loop.sockets.remove(s.fd)
	syscall.Close(int(s.fd))
	s.fd = -1
	s.fail(net.ErrClosed)
	s.stopTimer()
	s.rest = nil
	s.mu.Unlock()
	s.conn.lost(err)
	s.poller.loop.leave()
	if s.ended != nil {
		close(s.ended)
	}
}

// drain is called when the connection wants no more: what still comes is thrown away for a while, so that our last frame is
// not lost (RFC 6455, Section 7.1.1).
func (s *epollSocket) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	s.hush(0, quietProgram|quietBacklog)
	s.bound(drainTime)
	if s.ending == notEnding {
		s.ending = lastWords
	}
	s.ending = max(s.ending, lastWords)
	s.sayAll()
}

func (s *epollSocket) saidAll() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending != notEnding
}

// pause keeps what the program is not ready for, until Resume.
func (s *epollSocket) pause(rest []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append([]byte(nil), rest...)
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

// takeRest returns what receive did not take the last time, nil if nothing.
func (s *epollSocket) takeRest() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.rest
	s.rest = nil
	s.hush(0, quietProgram)
	return rest
}

// Writing.

// Write takes all of p, or fails. While the connection is at work p is collected; else the system gets it, and what it does
// not take waits in the backlog.
func (s *epollSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	err := s.take(nil, p)
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WritePieces is Write for a frame, which may come in two pieces. A large payload goes to the system from where it is.
func (s *epollSocket) WritePieces(head, payload []byte) error {
	s.mu.Lock()
	err := s.failed
	if err == nil {
		s.count(head, payload)
		err = s.take(head, payload)
	}
	s.mu.Unlock()
	return err
}

// count counts a frame: with what else is collected, or at once. The caller holds mu.
func (s *epollSocket) count(head, payload []byte) {
	first, n := frameOf(head, payload)
	if s.cork != nil {
		s.cork.sent.frame(first, n)
	} else {
		s.conn.lane.sent.frame(first, n)
	}
}

// largePayload is from which size on, in bytes, a payload is not copied if that can be helped.
const largePayload = 8 << 10

// take collects, writes or keeps what there are two pieces of. The caller holds mu.
func (s *epollSocket) take(head, payload []byte) error {
	if s.failed != nil {
		return s.failed
	}
	if s.cork != nil && s.backlog == nil && len(payload) < largePayload {
		if out := s.cork.output; len(out)+len(head)+len(payload) <= cap(out) {
			s.cork.output = append(append(out, head...), payload...)
			return nil
		}
	}
	var before []byte
	if s.cork != nil {
		before = s.cork.output
		s.cork.output = before[:0]
	}
	s.put(before, head, payload)
	return s.failed
}

// put writes a, b and c, or keeps what the system does not take. The caller holds mu.
func (s *epollSocket) put(a, b, c []byte) {
	n := 0
	if s.backlog == nil {
		var err error
		n, err = sysWritev(s.fd, a, b, c)
		if err != nil && err != syscall.EAGAIN {
			s.fail(os.NewSyscallError("write", err))
			return
		}
	}
	before := s.backlog.size()
	for _, p := range [...][]byte{a, b} {
		s.enqueue(p[min(n, len(p)):])
		n = max(n-len(p), 0)
	}
	c = c[min(n, len(c)):]
	s.insist() // there may be no room left for the event
	if s.working {
		s.answers += s.backlog.size() - before
		if !s.blocks { // else who answers waits
			s.answers += len(c)
		}
	}
	s.keep(c)
}

// keep adds p to the backlog, when there is room for it if it is not a control frame. The caller holds mu.
func (s *epollSocket) keep(p []byte) {
	for s.blocks && len(p) > mostControl && s.failed == nil {
		n := s.conn.server.mayKeep(s.backlog.size(), len(p))
		s.enqueue(p[:n])
		if p = p[n:]; len(p) > 0 {
			s.room.Wait()
		}
	}
	if s.failed == nil {
		s.enqueue(p)
	}
}

// enqueue adds p to the backlog. The caller holds mu.
func (s *epollSocket) enqueue(p []byte) {
	if len(p) == 0 {
		return
	}
	first := s.backlog == nil
	s.backlog = s.backlog.add(p)
	s.recount(len(p))
	if first {
		s.flushing = true
		if s.armed {
			s.arm()
		}
		s.bound(s.poller.loop.writeTimeout)
	}
}

// recount notes that the backlog has grown, or shrunk, by so many bytes. The caller holds mu.
func (s *epollSocket) recount(by int) {
	s.waiting.Add(int64(by))
	s.conn.server.counters.backlogged(by)
}

// write writes as much of p as the system takes. The caller holds mu.
func (s *epollSocket) write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := sysWrite(s.fd, p[n:])
		if err == syscall.EAGAIN {
			return n, nil
		}
		if err != nil {
			return n, os.NewSyscallError("write", err)
		}
		n += m
	}
	return n, nil
}

// flush writes the backlog, as far as the system takes it.
func (s *epollSocket) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || !s.flushing {
		return
	}
	if s.backlog != nil {
		n, err := s.write(s.backlog.rest())
		s.backlog = s.backlog.take(n)
		s.recount(-n)
		if err != nil {
			s.fail(err)
		}
		s.wakeWriters()
		if s.backlog != nil {
			if n > 0 && s.ending != saidAll {
				s.bound(s.poller.loop.writeTimeout) // it reads, if slowly
			}
			return
		}
		s.answers = 0
		s.quiet &^= quietBacklog
		s.emptied = s.failed == nil && s.conn.drained()
	}
	s.flushing = false
	if s.ending == notEnding {
		s.stopTimer()
	}
	s.arm()
	s.sayAll()
}

// uncork writes what was collected.
func (s *epollSocket) uncork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncorked()
	s.cork = nil
	s.sayAll()
}

// uncorked writes what was collected until now. The caller holds mu.
func (s *epollSocket) uncorked() {
	w := s.cork
	if w == nil {
		return
	}
	s.conn.lane.sent.add(&w.sent)
	if len(w.output) == 0 {
		return
	}
	if s.failed == nil && s.fd >= 0 {
		s.put(w.output, nil, nil)
	}
	w.output = w.output[:0]
}

// fail makes every write fail. The caller holds mu.
func (s *epollSocket) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
	s.recount(-s.backlog.size())
	s.backlog.free()
	s.backlog = nil
	s.wakeWriters()
}

func (s *epollSocket) wakeWriters() {
	if s.room != nil {
		s.room.Broadcast()
	}
}

// Buffered returns the size of the backlog, in bytes.
func (s *epollSocket) Buffered() int { return int(s.waiting.Load()) }

// Block has data frames wait for room in the backlog.
func (s *epollSocket) Block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks, s.room = true, sync.NewCond(&s.mu)
}

// Choked reports whether nothing is read because the client does not take the answers.
func (s *epollSocket) Choked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet&quietBacklog != 0
}

// Waits returns false: the backlog takes what the system does not.
func (s *epollSocket) Waits() bool { return false }

// Background returns nil: a Pong never waits.
func (s *epollSocket) Background() func(func()) { return nil }

// Finish says that nothing more will be written. What has been written still goes out, if that takes no longer than wait.
func (s *epollSocket) Finish(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || s.ending != notEnding {
		return
	}
	s.ending = lastWords
	s.bound(wait)
	s.sayAll()
}

// sayAll tells the client that no more comes, if all that there was has gone. The caller holds mu.
func (s *epollSocket) sayAll() {
	if s.ending != lastWords || s.backlog != nil || s.fd < 0 || s.cork != nil && len(s.cork.output) > 0 {
		return
	}
	s.ending = saidAll
	syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
}

// bound cuts the connection in d, if nothing changes that; 0 or less means never. The caller holds mu.
func (s *epollSocket) bound(d time.Duration) {
	switch {
	case d <= 0:
	case s.timer == nil:
		s.timer = time.AfterFunc(d, s.expire)
	default:
		s.timer.Reset(d)
	}
}

func (s *epollSocket) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// expire is called when the time is over in which the backlog had to move, or the connection to end.
func (s *epollSocket) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backlog != nil && s.ending == notEnding {
		s.fail(&socket.TimeoutError{After: s.poller.loop.writeTimeout, Bytes: s.backlog.size()})
	}
	s.cut()
}

// Close cuts the connection.
func (s *epollSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut()
	return nil
}

// cut ends TCP in both directions: the poller gets an event for that. The caller holds mu.
func (s *epollSocket) cut() {
	if s.fd < 0 || s.ending == cutOff {
		return
	}
	if s.ending == notEnding {
		s.ending = cutOff
	}
	s.uncorked() // what was sent before has been sent
	s.fail(net.ErrClosed)
	syscall.Shutdown(int(s.fd), syscall.SHUT_RDWR)
	s.rest = nil
	s.flushing = false
	s.quiet &= quietDeaf
	if s.armed {
		s.arm()
	}
}

// LocalAddr returns the address of this side.
func (s *epollSocket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.local()) }

// RemoteAddr returns the address of the client, or of the proxy before it.
func (s *epollSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.addrs.remote()) }

// socketTable finds sockets by their descriptors, which are small numbers. It may be used by all goroutines at once.
type socketTable struct {
	chunks [1 << 12]atomic.Pointer[socketChunk]
}

type socketChunk [1 << 10]atomic.Pointer[epollSocket]

func (t *socketTable) get(fd int32) *epollSocket {
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	return chunk[fd&(1<<10-1)].Load()
}

func (t *socketTable) put(fd int32, s *epollSocket) {
	at := &t.chunks[fd>>10]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new(socketChunk))
	}
	at.Load()[fd&(1<<10-1)].Store(s)
}

func (t *socketTable) remove(fd int32) { t.put(fd, nil) }
