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

	"github.com/fibersock/fibersock/internal/endpoint"
	"github.com/fibersock/fibersock/internal/socket"
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
	blocks    bool           // data frames wait for room in the backlog
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
	room    *sync.Cond    // for writers that wait for a smaller backlog; nil unless blocks
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

// ending is how far a socket's end has come.
type ending uint8

const (
	notEnding ending = iota
	lastWords        // nothing more will be written than what is in the backlog
	saidAll          // the client was told that no more will come
	cutOff           // Close was called
)

// maxDrained bounds, in bytes, what is read and thrown away at a connection's end.
const maxDrained = 1 << 20

// add serves the connection fd. start, if it is not nil, is received before anything is read. The error is that fd cannot be
// served; it is the caller's then.
func (l *epollLoop) add(fd int, addrs addrPair, open func(*Conn, transport), start []byte, ended chan struct{}) error {
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
func (s *epollSocket) collects() bool { return s.backlog == nil && !s.blocks }

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

// nothingWaits reports whether there is nothing to be read. If there is, it is thrown away: the connection is at its end.
func (s *epollSocket) nothingWaits(w *workspace) bool {
	_, err := sysRead(s.fd, w.input)
	return err == syscall.EAGAIN
}

// part ends the connection at once, if our Close has been taken: both sides have said their last, nothing has come after the
// client's Close, and nothing may come any more (RFC 6455, Section 5.5.1). It reports whether the connection has ended. The
// caller runs the socket.
func (s *epollSocket) part() bool {
	s.conn.endpoint.Uncork()
	s.mu.Lock()
	done := s.backlog == nil && s.failed == nil
	s.mu.Unlock()
	if done {
		s.finish(nil)
	}
	return done
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
	s.forget()
	more := s.more
	s.mu.Unlock()
	s.conn.lost(err)
	s.poller.loop.leave()
	if more != nil && more.ended != nil {
		close(more.ended)
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

// discard notes that n bytes have been thrown away, and returns how many that are in all.
func (s *epollSocket) discard(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.reserve()
	more.drained += n
	return more.drained
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

// Writing.

// Write takes all of p, or fails. What the system does not take waits in the backlog.
func (s *epollSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.put(nil, p)
	err := s.failed
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WritePieces is Write for a frame, which may come in two pieces.
func (s *epollSocket) WritePieces(head, payload []byte) error {
	s.mu.Lock()
	if s.failed == nil {
		s.conn.lane.sent.frame(frameOf(head, payload))
		s.put(head, payload)
	}
	err := s.failed
	s.mu.Unlock()
	return err
}

// WriteCorked is Write for what is collected in k, and payload after it. There is more to be collected as long as there is no
// backlog.
func (s *epollSocket) WriteCorked(k *endpoint.Cork, payload []byte) (more bool, err error) {
	frames, sent := k.Take()
	s.mu.Lock()
	if s.failed == nil {
		s.conn.lane.sent.add(&sent)
		s.put(frames, payload)
	}
	more, err = s.backlog == nil, s.failed
	s.mu.Unlock()
	return more, err
}

// put writes a and b, or keeps what the system does not take. The caller holds mu.
func (s *epollSocket) put(a, b []byte) {
	if s.failed != nil {
		return
	}
	n := 0
	if s.backlog == nil {
		var err error
		n, err = sysWritev(s.fd, a, b)
		if err != nil && err != syscall.EAGAIN {
			s.fail(os.NewSyscallError("write", err))
			return
		}
	}
	if n < len(a) {
		s.enqueue(a[n:], true)
	}
	if n = max(n-len(a), 0); n < len(b) {
		s.keep(b[n:])
	}
	s.insist() // there may be no room left for the event
}

// keep adds p to the backlog, when there is room for it if it is not a control frame. The caller holds mu.
func (s *epollSocket) keep(p []byte) {
	waits := s.blocks && len(p) > mostControl
	for waits && len(p) > 0 && s.failed == nil {
		n := s.conn.server.mayKeep(s.backlog.size(), len(p))
		s.enqueue(p[:n], false) // who answers waits
		if p = p[n:]; len(p) > 0 {
			s.more.room.Wait()
		}
	}
	if s.failed == nil {
		s.enqueue(p, true)
	}
}

// enqueue adds p to the backlog, which may be an answer to what the client has sent. The caller holds mu.
func (s *epollSocket) enqueue(p []byte, answer bool) {
	if len(p) == 0 {
		return
	}
	first := s.backlog == nil
	s.backlog = s.backlog.add(p)
	s.recount(len(p))
	if answer && s.working {
		s.reserve().answers += len(p)
	}
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
		if s.more != nil {
			s.more.answers = 0
		}
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
	if s.blocks {
		s.more.room.Broadcast()
	}
}

// Buffered returns the size of the backlog, in bytes.
func (s *epollSocket) Buffered() int { return int(s.waiting.Load()) }

// Block has data frames wait for room in the backlog.
func (s *epollSocket) Block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks, s.reserve().room = true, sync.NewCond(&s.mu)
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
	if !s.working { // else it is bounded when the handlers have returned
		s.bound(wait)
	}
	s.sayAll()
}

// sayAll tells the client that no more comes, if all that there was has gone. The caller holds mu.
func (s *epollSocket) sayAll() {
	if s.ending != lastWords || s.backlog != nil || s.fd < 0 {
		return
	}
	s.ending = saidAll
	syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
}

// bound cuts the connection in d, if nothing changes that; 0 or less means never. The caller holds mu.
func (s *epollSocket) bound(d time.Duration) {
	if d <= 0 {
		return
	}
	if more := s.reserve(); more.timer == nil {
		more.timer = time.AfterFunc(d, s.expire)
	} else {
		more.timer.Reset(d)
	}
}

func (s *epollSocket) stopTimer() {
	if s.more != nil && s.more.timer != nil {
		s.more.timer.Stop()
		s.more.timer = nil
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
	s.fail(net.ErrClosed)
	syscall.Shutdown(int(s.fd), syscall.SHUT_RDWR)
	s.forget()
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
