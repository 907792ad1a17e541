//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// The test in this file explores every state that a socket of the polled loop
// can reach. It runs the real code over models of the kernel, with epoll or
// kqueue, and the connection, performs each event in each state, in every order, until there
// are no new states, and checks in each state the invariants of world.check.
//
// A path is a list of steps. Steps during a handler follow the step that called
// it; a step whose name begins with "return" ends the handler. The state at the
// end of a path is computed by performing all of its steps with a new socket.

var everySystem = flag.Bool("netloop.systems", false, "explore every state of the systems that this is not; without it, those of few events")

var mutants = flag.Int("netloop.mutants", 0, "explore with every mutant of endTable, from this state on: each has to be noticed")

// world is a socket with the models around it.
type world struct {
	loop    *polledLoop
	poller  *poller
	workers [2]*worker // of the leader, and of a second one while a handler is running
	socket  *PolledSocket
	gauge   Gauge

	path      []*step
	pos       int
	unwinding bool // the path has ended inside of a handler
	end       state
	possible  []*step // at the end
	faults    []string

	// The kernel.
	input            int  // bytes that can be read
	eof, reset, told bool // the peer has closed its side; has reset the connection; read has reported the reset
	space            int  // bytes that can be written
	writeFails       bool
	finSent, shut    bool // shutdown(2) of one direction, of both
	queue            queueModel
	closes           int

	// TLS; secure is nil without.
	secure      *secureConn
	record      byte   // the kind of record in input
	handshake   func() // of the handshake's goroutine; nil: none runs
	succeeds    bool   // the handshake
	burst       int    // plaintext that TLS has, in bytes
	undelivered int    // plaintext that the connection has not got, in bytes
	tlsErr      error  // of TLS.Read
	notifies    bool   // close_notify is sent

	// The connection.
	large      bool   // messages are large
	handler    string // that is running; "": none
	ready      bool
	keeps      bool // Received has requested another call, for input that the connection has kept
	refused    bool // a handler has returned that no more input is accepted
	eofSeen    bool
	readEOF    bool
	notified   bool // the peer has sent close_notify
	closeWrite bool // CloseWrite was called
	endsOutput bool // the output was ended, because the input has, or by an error of TLS
	aborted    bool
	closed     int
}

// state identifies a state of the world.
type state string

// event is possible if enabled is true, of the world at that moment.
type event struct {
	name    string
	handler bool // a handler may be called
	enabled func(w *world) bool
	do      func(w *world)
}

// step is an event of a path.
type step struct {
	event
	ends   bool // ends a handler
	inCall bool // makes a difference before a system call
}

const exploredFD = 77

// An explorer has the reusable parts of a world.
type explorer struct {
	loop    *polledLoop
	poller  *poller
	workers [2]*worker
	world   *world // that it follows
	queue   func(w *world) queueModel
	large   bool   // messages are large
	tls     bool   // there is TLS
	stage   uint32 // of TLS at the beginning
}

func newExplorer() *explorer {
	e := &explorer{loop: new(polledLoop), poller: new(poller), queue: queueModels[0].make}
	e.loop.sys = e.calls()
	e.poller.loop, e.poller.sys = e.loop, e.loop.sys
	e.poller.guard = newWatchdog(watchPeriod)
	e.poller.guard.watch([]*poller{e.poller})
	for i := range e.workers {
		e.workers[i] = &worker{leads: e.poller, input: make([]byte, 4)}
	}
	return e
}

func (e *explorer) newWorld() *world {
	w := &world{large: e.large, loop: e.loop, poller: e.poller, workers: e.workers, space: 1, ready: true}
	w.queue = e.queue(w)
	e.world, w.loop.users = w, 10
	w.loop.Config = Config{
		WriteTimeout: WriteTimeout{After: time.Hour, Err: errLate}, Linger: time.Hour, BlockedLinger: time.Hour,
		Limit:    WriteLimit{High: 10, PauseRead: 1, Total: &w.gauge},
		Counters: &Counters{Buffered: &w.gauge},
	}
	w.poller.kicks.fds = w.poller.kicks.fds[:0]
	w.poller.kicks.size.Store(0)
	w.poller.deferrals.take()
	w.socket = new(PolledSocket)
	w.loop.pollers = []*poller{w.poller}
	var first []byte
	if e.stage == secureHandshake {
		first = []byte{}
	}
	err := w.loop.add(exploredFD, addrPair{}, func(bool) (Conn, *PolledSocket) { return e.connection(w), w.socket }, first, nil)
	if err != nil {
		panic(err)
	}
	if e.stage == secureHandshake {
		w.loop.sys.spawn(func() { w.secure.handshake(w.shake()) })
	}
	return w
}

// connection returns the model of a connection.
func (e *explorer) connection(w *world) Conn {
	conn := (*modelConn)(w)
	if !e.tls {
		return conn
	}
	w.secure = &secureConn{Conn: conn, PolledSocket: w.socket, tls: &modelTLS{w: w}}
	w.secure.stage.Store(e.stage)
	if e.stage == secureHandshake { // as startTLS does
		w.secure.plain = w.secure.plain.add([]byte("x"))
		w.secure.shake.Store(newTLSHandshake())
	}
	return w.secure
}

func (w *world) fault(format string, args ...any) {
	if !w.unwinding {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// The model of the kernel.

// calls returns the system calls of the world that e follows.
func (e *explorer) calls() *systemCalls {
	use := func(call string, fd int32) {
		w := e.world
		if fd != exploredFD || w.closes > 0 {
			w.fault("%s of descriptor %d, closed %d times", call, fd, w.closes)
		}
	}
	write := func(fd int32, n int) (int, error) {
		w := e.world
		use("write", fd)
		switch {
		case w.finSent:
			w.fault("%d bytes are written after FIN", n)
			return 0, syscall.EPIPE
		case w.writeFails, w.reset, w.shut:
			return 0, syscall.EPIPE
		case w.space == 0:
			return 0, syscall.EAGAIN
		}
		n = min(n, w.space)
		w.space -= n
		return n, nil
	}
	return &systemCalls{
		read: func(fd int32, p []byte) (int, error) {
			w := e.world
			w.run("read")
			use("read", fd)
			if w.readEOF && !w.shut {
				w.fault("read after EOF")
			}
			if w.socket.paused&pausedBacklog != 0 {
				w.fault("read while reading is paused")
			}
			switch {
			case w.input > 0:
				w.input--
				p[0] = w.record
				w.undelivered += w.plaintext()
				return 1, nil
			case w.reset && !w.told:
				w.told = true
				return 0, syscall.ECONNRESET
			case w.eof, w.reset, w.shut:
				w.readEOF = true
				return 0, nil
			}
			return 0, syscall.EAGAIN
		},
		write:     func(fd int32, p []byte) (int, error) { return write(fd, len(p)) },
		writeLast: func(fd int32, p []byte) (int, error) { return write(fd, len(p)) },
		writev:    func(fd int32, a, b []byte) (int, error) { return write(fd, len(a)+len(b)) },
		shutdown: func(fd int32, how int) {
			w := e.world
			use("shutdown", fd)
			switch how {
			case syscall.SHUT_RDWR:
				if w.socket.state != stateAborted {
					w.fault("both directions are shut down in state %d", w.socket.state)
				}
				w.shut = true
				w.queue.outputChanged()
				return
			}
			if w.finSent || w.socket.out != nil {
				w.fault("FIN with %d bytes buffered, sent before: %v", w.socket.out.size(), w.finSent)
			}
			w.finSent = true
			w.queue.outputChanged()
		},
		close: func(fd int32) {
			w := e.world
			use("close", fd)
			if w.notified && !w.eof && w.connected() && !w.writeFails {
				w.fault("closed, although the peer may send behind close_notify")
			}
			w.closes++
			w.queue.closed()
		},
		hungUp: func(fd int32) (bool, syscall.Errno) {
			w := e.world
			w.run("poll")
			use("poll", fd)
			if w.reset && !w.told {
				w.told = true
				return true, syscall.ECONNRESET
			}
			return w.queue.hungUp(), 0
		},
		watch: func(_ int, fd int32, from, to interest) error {
			use(watchCall, fd)
			e.world.queue.watch(from, to)
			return nil
		},
		notify: func(int) {},
		spawn: func(f func()) {
			w := e.world
			w.handshake = f
			w.shake().hello.begun = true // its needs are those of real records
		},
	}
}

// inCall reports whether the owner of the socket is about to make a system
// call.
func (w *world) inCall() bool { return w.handler == "read" || w.handler == "poll" }

// connected reports whether the connection is open.
func (w *world) connected() bool { return w.closes == 0 && !w.reset && !w.shut }

// A queueModel is a model of the kernel's events for the socket of a world.
type queueModel interface {
	watch(from, to interest) // systemCalls.watch
	closed()                 // the descriptor is closed
	outputChanged()          // the socket has got space, or its output has ended
	hungUp() bool            // systemCalls.hungUp

	filters() int              // the number of filters of a descriptor
	pending(filter int) uint32 // the bits of the event that a filter would report, 0: none
	report(filter int) uint32  // the same, once it is reported
	state() bool               // distinguishes states of the model
}

// worker returns the worker of the goroutine that gets the next event.
func (w *world) worker() *worker {
	if w.handler != "" {
		return w.workers[1]
	}
	return w.workers[0]
}

// The model of TLS. A record is one byte, which is its kind.

type modelTLS struct {
	net.Conn // nil
	w        *world
}

// The kinds of records that a client sends.
const (
	recordData    = 'd'
	recordBurst   = 'b' // more data than a turn handles
	recordPart    = 'p' // of a record
	recordUpdate  = 'u' // TLS answers it
	recordNotify  = 'n' // close_notify
	recordInvalid = 'i' // TLS sends an alert
)

// plaintext returns the size of the plaintext in the record that the peer has
// sent, in bytes.
func (w *world) plaintext() int {
	switch w.record {
	case recordData:
		return 1
	case recordBurst:
		return maxTurnReads + 1
	}
	return 0
}

func (m *modelTLS) raw() *rawConn { return (*rawConn)(m.w.secure) }

func (m *modelTLS) Read(p []byte) (int, error) {
	for m.w.tlsErr == nil {
		if m.w.burst > 0 {
			m.w.burst--
			p[0] = 'x'
			return 1, nil
		}
		var record [1]byte
		if _, err := m.raw().Read(record[:]); err != nil {
			if err != errNoInput {
				m.w.tlsErr = err
			}
			return 0, err
		}
		switch record[0] {
		case recordData, recordBurst:
			m.w.burst = 1
			if record[0] == recordBurst {
				m.w.burst = maxTurnReads + 1
			}
		case recordUpdate:
			m.raw().Write(record[:])
		case recordNotify:
			m.w.notified = true
			m.w.tlsErr = io.EOF
		case recordInvalid:
			m.raw().Write(record[:])
			m.w.notified, m.w.endsOutput = true, true
			m.w.tlsErr = errInvalid
		}
	}
	return 0, m.w.tlsErr
}

func (m *modelTLS) Write(p []byte) (int, error) {
	if m.w.notifies {
		m.w.fault("TLS writes after close_notify")
	}
	return m.raw().Write(p)
}

func (m *modelTLS) CloseWrite() error {
	m.w.notifies, m.w.endsOutput = true, true
	_, err := m.raw().Write([]byte{recordNotify})
	return err
}

func (m *modelTLS) Handshake() error {
	if m.w.succeeds {
		return nil
	}
	return errInvalid
}

var errInvalid = errors.New("invalid record")

// shake returns the input of the handshake, nil if there is none.
func (w *world) shake() *tlsHandshake {
	if w.secure == nil {
		return nil
	}
	return w.secure.shake.Load()
}

// endHandshake ends the handshake's goroutine.
func (w *world) endHandshake(success bool) {
	run := w.handshake
	w.handshake, w.succeeds = nil, success
	if !success && w.closed == 0 { // the connection ends its output
		w.closeWrite, w.ready = true, true
	}
	run()
}

// waiting reports whether the handshake's goroutine waits for input.
func (w *world) waiting() bool { return w.shake() != nil && w.shake().isWaiting() }

// output is the socket as the connection sees it.
func (w *world) output() Socket {
	if w.secure != nil {
		return (*secureSocket)(w.secure)
	}
	return w.socket
}

// accepts reports whether the connection, or TLS, accepts input.
func (w *world) accepts() bool {
	if w.secure != nil {
		return w.secure.Ready()
	}
	return w.ready
}

// The model of the connection.

type modelConn world

func (c *modelConn) Started(Socket)      {}
func (c *modelConn) Partial() bool       { return false }
func (c *modelConn) BeginBatch(any)      {}
func (c *modelConn) EndBatch()           {}
func (c *modelConn) WriterBlocked() bool { return false }
func (c *modelConn) Ready() bool         { return c.ready }
func (c *modelConn) Flushed() bool       { return !c.closeWrite && !c.refused && !c.aborted }

func (c *modelConn) Panicked(any, bool) error { panic("not called by this loop") }

// ReadBuffer returns a buffer that any input fills, for a large message.
func (c *modelConn) ReadBuffer(int) []byte {
	if c.large {
		return c.workers[0].input[:1]
	}
	return nil
}

func (c *modelConn) Received(b []byte) (rest []byte, ok bool) {
	w := (*world)(c)
	if w.refused {
		w.fault("Received after the end")
	}
	if w.secure != nil && w.secure.stage.Load() != secureOpen {
		w.fault("Received in stage %d of TLS", w.secure.stage.Load())
	}
	if !w.ready {
		w.fault("Received while the connection is not ready")
	}
	w.keeps = false
	w.undelivered -= len(b)
	defer func() { w.undelivered += len(rest) }()
	switch w.run("Received") {
	case "return full":
		w.ready = false
		return nil, true
	case "return keeping input": // as TLS does
		w.ready, w.keeps = false, true
		return b[len(b):], true
	case "return for another turn":
		w.keeps = true
		return b[len(b):], true
	case "return":
		return nil, true
	case "return not ready":
		w.ready = false
		return b, true
	case "return ready again": // it becomes ready before the loop notices that it was not
		w.socket.Resume()
		return b, true
	case "return refusal":
		w.refused = true
	}
	return nil, false
}

func (c *modelConn) Writable() (ok bool) {
	w := (*world)(c)
	switch w.run("Writable") {
	case "return refusal":
		w.refused = true
		return false
	}
	return true
}

func (c *modelConn) InputClosed() {
	w := (*world)(c)
	if w.closed > 0 || w.eofSeen {
		w.fault("InputClosed after %d calls of Closed, seen before: %v", w.closed, w.eofSeen)
	}
	w.eofSeen = true
}

// endOutput is for a connection without TLS that has got close_notify.
func (c *modelConn) endOutput() bool {
	if !c.notified {
		return false
	}
	c.endsOutput = true
	c.socket.CloseWrite(false)
	return true
}

func (c *modelConn) holdsInput() bool { return false }

func (c *modelConn) Closed(error) {
	w := (*world)(c)
	if w.closed++; w.closed > 1 || w.closes != 1 || w.handler != "" {
		w.fault("Closed %d times, descriptor closed %d times, in handler %q", w.closed, w.closes, w.handler)
	}
}

// run is a handler, or the moment before a system call without the socket's
// lock: it performs the steps of the path until one ends it, and returns that
// one.
func (w *world) run(handler string) string {
	if w.handler != "" || w.closed > 0 {
		w.fault("%s while %q is running, after %d calls of Closed", handler, w.handler, w.closed)
	}
	w.handler = handler
	for {
		if w.unwinding {
			panic(errUnwind)
		}
		if w.pos == len(w.path) {
			w.finish()
			panic(errUnwind)
		}
		s := w.path[w.pos]
		w.pos++
		if s.ends {
			w.handler = ""
			if s == returnsNever {
				w.refused = true
				runtime.Goexit()
			}
			return s.name
		}
		s.do(w)
	}
}

// asLeader calls f as a handler of p that is not the last one of a batch.
func (p *poller) asLeader(f func()) {
	p.progress.Store(makeProgress(0, 0, 0))
	p.inReserve(func() {
		p.beginDeferring(makeProgress(0, 0, 0), true)
		f()
	})
	p.endDeferring()
	p.progress.Store(makeProgress(0, 0, idleIndex))
}

// returns ends a handler, or performs the system call. After returnsNever, the
// goroutine of the handler exits.
var returns, returnsNever *step

// oldEvent is an event that a leader got and did not handle in time: another
// goroutine leads the poller meanwhile. The kernel does not repeat it. oldHangUp
// is that of another socket, which had the same descriptor.
const (
	oldEvent  = "an old event of input is handled"
	oldHangUp = "an old event of another socket is handled"
)

// steps are those of all events.
var steps []*step

func init() {
	for _, e := range allEvents {
		s := &step{
			event:  e,
			ends:   strings.HasPrefix(e.name, "return"),
			inCall: !strings.HasPrefix(e.name, "peer") && !strings.HasPrefix(e.name, "send") && e.name != "Flush" && e.name != "writes fail",
		}
		switch s.name {
		case "return":
			returns = s
		case "return never":
			returnsNever = s
		}
		steps = append(steps, s)
	}
}

var allEvents = []event{
	{"the kernel reports", true, func(w *world) bool { return w.queue.pending(0) != 0 }, func(w *world) {
		w.socket.ready(w.worker(), w.queue.report(0))
	}},
	{"the kernel reports the other filter", true, func(w *world) bool { return w.queue.pending(1) != 0 }, func(w *world) {
		w.socket.ready(w.worker(), w.queue.report(1))
	}},
	{oldEvent, true, func(w *world) bool { return w.closes == 0 && w.input > 0 }, func(w *world) {
		w.socket.ready(w.worker(), readyInput)
	}},
	{oldHangUp, true, func(w *world) bool { return w.closes == 0 && w.queue.filters() > 1 }, func(w *world) {
		w.socket.ready(w.worker(), readyOutput|readyHangUp)
	}},
	{"kick is handled", true, func(w *world) bool { return len(w.poller.kicks.fds) > 0 }, func(w *world) {
		var events [1]pollEvent
		w.poller.kicks.appendTo(events[:])
		if w.closes == 0 {
			w.socket.ready(w.worker(), events[0].Events)
		}
	}},
	{"peer sends", false, (*world).canSend, func(w *world) { w.input, w.record = 1, recordData }},
	{"peer sends a burst", false, (*world).canSendTLS, func(w *world) { w.input, w.record = 1, recordBurst }},
	{"peer sends a part of a record", false, (*world).canSendTLS, func(w *world) { w.input, w.record = 1, recordPart }},
	{"peer sends an update", false, (*world).canSendTLS, func(w *world) { w.input, w.record = 1, recordUpdate }},
	{"peer sends close_notify", false, (*world).canSendTLS, func(w *world) { w.input, w.record = 1, recordNotify }},
	{"peer sends an invalid record", false, (*world).canSendTLS, func(w *world) { w.input, w.record = 1, recordInvalid }},
	{"handshake reads", false, func(w *world) bool { return w.handshake != nil && w.shake().in != nil }, func(w *world) {
		record := make([]byte, 1)
		(*rawConn)(w.secure).Read(record)
		switch record[0] {
		case recordData:
			w.undelivered--
		case recordBurst:
			w.undelivered -= maxTurnReads + 1
		}
	}},
	{"handshake waits", false, func(w *world) bool {
		return w.handshake != nil && w.shake().in == nil && !w.waiting() && !w.shake().closed
	}, func(w *world) { // as await does
		w.shake().waits = true
		w.secure.Resume()
	}},
	{"handshake writes", false, func(w *world) bool {
		return w.handshake != nil && !w.waiting() && w.socket.out.size() == 0
	}, func(w *world) { (*rawConn)(w.secure).Write(make([]byte, 1)) }},
	{"handshake succeeds", false, func(w *world) bool {
		return w.handshake != nil && !w.waiting() && !w.shake().closed
	}, func(w *world) { w.endHandshake(true) }},
	{"handshake fails", false, func(w *world) bool { return w.handshake != nil && !w.waiting() }, func(w *world) { w.endHandshake(false) }},
	{"peer closes its side", false, func(w *world) bool { return !w.eof && w.connected() }, func(w *world) { w.eof = true }},
	{"peer resets", false, func(w *world) bool { return w.connected() }, func(w *world) {
		w.reset, w.input, w.eof, w.writeFails, w.space = true, 0, false, false, 0
		w.queue.outputChanged()
	}},
	{"peer reads", false, func(w *world) bool { return w.space == 0 && w.connected() }, func(w *world) {
		w.space = 1
		w.queue.outputChanged()
	}},
	{"writes fail", false, func(w *world) bool { return !w.writeFails && w.connected() && w.socket.out != nil }, func(w *world) {
		w.writeFails = true
		w.queue.outputChanged()
	}},
	{"send", false, func(w *world) bool {
		return !w.closeWrite && w.closed == 0 && !w.aborted && w.socket.out.size() < 2
	}, func(w *world) { w.output().Writev(nil, make([]byte, w.space+1)) }}, // one more than the kernel accepts
	{"send in another handler of the batch", false, func(w *world) bool {
		return !w.closeWrite && w.closed == 0 && !w.aborted && w.socket.out.size() < 2
	}, func(w *world) { w.poller.asLeader(func() { w.output().Writev(nil, make([]byte, 1)) }) }},
	{"the batch ends", false, func(w *world) bool { return len(w.poller.deferrals.sockets) > 0 }, func(w *world) { w.poller.flushDeferred() }},
	{"Flush", false, func(w *world) bool { return w.socket.flags&flagDeferred != 0 }, func(w *world) { w.socket.Flush() }},
	{"CloseWrite", false, func(w *world) bool { return !w.closeWrite }, func(w *world) {
		w.closeWrite, w.ready = true, true
		w.output().CloseWrite(false)
	}},
	{"CloseWrite after Close frames", false, func(w *world) bool { return !w.closeWrite && !w.notified && w.handler == "Received" }, func(w *world) {
		w.closeWrite, w.ready = true, true
		w.output().CloseWrite(true)
	}},
	{"Abort", false, func(w *world) bool { return !w.aborted }, func(w *world) {
		w.aborted, w.ready = true, true
		w.socket.Abort()
	}},
	{"time is over", false, func(w *world) bool { return w.socket.ext != nil && w.socket.ext.timer != nil }, func(w *world) {
		w.socket.ext.deadline = time.Now().Add(-time.Hour)
		w.socket.expire()
	}},
	{"ready", false, func(w *world) bool { return !w.ready }, func(w *world) {
		w.ready = true
		w.socket.Resume()
	}},
	{"busy", false, func(w *world) bool {
		return w.ready && w.handler == "" && w.eofSeen && w.closed == 0 && !w.closeWrite && !w.aborted
	}, func(w *world) { w.ready = false }},
	{"return", false, func(w *world) bool { return w.handler != "" && (!w.closeWrite || w.inCall()) }, nil},
	{"return not ready", false, (*world).mayKeep, nil},
	{"return full", false, func(w *world) bool {
		return w.handler == "Received" && !w.closeWrite && (w.secure != nil || w.notified)
	}, nil},
	{"return keeping input", false, (*world).mayKeep, nil},
	{"return for another turn", false, (*world).mayKeep, nil},
	{"close_notify", false, func(w *world) bool { return w.mayKeep() && w.secure == nil }, func(w *world) {
		w.notified = true
		(*modelConn)(w).InputClosed()
		w.socket.endInput()
	}},
	{"return ready again", false, (*world).mayKeep, nil},
	{"return refusal", false, func(w *world) bool { return w.handler != "" && !w.inCall() }, nil},
	{"return never", false, func(w *world) bool { return w.handler != "" && !w.inCall() }, nil},
}

// mayKeep reports whether Received may return a rest.
func (w *world) mayKeep() bool { return w.handler == "Received" && !w.closeWrite && !w.notified }

// canSend reports whether the peer may send.
func (w *world) canSend() bool { return w.input == 0 && !w.eof && w.connected() }

func (w *world) canSendTLS() bool { return w.secure != nil && w.canSend() }

// follow performs the steps of path with a new socket.
func (e *explorer) follow(path []*step) *world {
	w := e.newWorld()
	w.path = path
	exits := slices.Contains(path, returnsNever)
	for w.pos < len(path) && !w.unwinding {
		s := path[w.pos]
		w.pos++
		if !s.handler || !exits {
			w.try(s)
			continue
		}
		var goroutine sync.WaitGroup
		goroutine.Go(func() { w.try(s) })
		goroutine.Wait()
	}
	if !w.unwinding {
		w.finish()
	}
	w.socket.stopTimer()
	return w
}

// errUnwind is the panic that ends a path inside of a handler.
var errUnwind = errors.New("the path is at its end")

// try performs s, which may be the last step.
func (w *world) try(s *step) {
	defer func() {
		if p := recover(); p != nil && p != errUnwind {
			panic(p)
		}
	}()
	s.do(w)
}

// finish records the state at the end of the path, and checks it.
func (w *world) finish() {
	w.end = w.state()
	for _, s := range steps {
		if (s.inCall || !w.inCall()) && s.enabled(w) {
			w.possible = append(w.possible, s)
		}
	}
	w.check()
	w.unwinding = true
}

func (w *world) state() state {
	s := w.socket
	text := stateText(make([]byte, 0, 256))
	text.addTLS(w)
	if w.closed > 0 {
		text.add("closed ", int(s.state), int(s.flags), int(s.fd), len(w.poller.kicks.fds))
		text.addBools(len(w.poller.deferrals.sockets) > 0, w.ready, w.closeWrite, w.aborted)
		return state(append(text, w.handler...))
	}
	ext := socketExt{}
	if s.ext != nil {
		ext.replies, ext.pending, ext.timer, ext.final = s.ext.replies, s.ext.pending, s.ext.timer, s.ext.final
	}
	text.add("socket ", int(s.owner.Load()), int(s.state), int(s.interest), int(s.paused), int(s.flags), s.out.size(),
		ext.pending.size(), int(s.fd), len(w.poller.kicks.fds))
	text.addBools(s.failure() != nil, ext.replies > 1, ext.timer != nil, ext.final, len(w.poller.deferrals.sockets) > 0)
	text.add("kernel ", w.input, w.space)
	text.addBools(w.eof, w.reset, w.told, w.writeFails, w.finSent, w.shut, w.queue.state(), w.readEOF)
	text.add("connection ")
	text.addBools(w.ready, w.keeps, w.refused, w.eofSeen, w.notified, w.closeWrite, w.endsOutput, w.aborted)
	return state(append(text, w.handler...))
}

// stateText is a state in the making.
type stateText []byte

// add appends the numbers of a part of the state.
func (t *stateText) add(part string, numbers ...int) {
	*t = append(*t, part...)
	for _, n := range numbers {
		*t = append(strconv.AppendInt(*t, int64(n), 10), ' ')
	}
}

func (t *stateText) addBools(bools ...bool) {
	for _, b := range bools {
		if b {
			*t = append(*t, '+')
		} else {
			*t = append(*t, '-')
		}
	}
	*t = append(*t, ' ')
}

// addTLS appends the part of the state that is in TLS.
func (t *stateText) addTLS(w *world) {
	c := w.secure
	if c == nil {
		return
	}
	h := w.shake()
	if h == nil {
		h = newTLSHandshake()
	}
	record := w.record
	if w.input == 0 {
		record = 0
	}
	t.add("TLS ", int(c.stage.Load()), h.in.size(), len(c.in), c.kept.size(), c.plain.size(), w.burst, w.undelivered, int(record))
	t.addBools(w.shake() != nil, h.waits, h.over, h.closed, w.handshake != nil, c.err.Load() != nil, w.notifies)
	if w.tlsErr != nil {
		*t = append(*t, w.tlsErr.Error()...)
	}
}

// check checks the invariants.
func (w *world) check() {
	s := w.socket
	if n := s.out.size(); n != s.Buffered() || n != int(w.gauge.Load()) {
		w.fault("%d bytes are buffered; counted are %d by the socket, %d by the loop", n, s.Buffered(), w.gauge.Load())
	}
	if w.closes != w.closed {
		w.fault("the descriptor is closed %d times, Closed called %d times", w.closes, w.closed)
	}
	if w.closed > 0 {
		if w.handshake != nil && !w.shake().closed {
			w.fault("closed, but the handshake waits for input")
		}
		if s.state != stateClosed || s.ext != nil && (s.ext.timer != nil || s.ext.pending != nil) || s.out != nil {
			w.fault("closed, but state %d, timer or buffers are left", s.state)
		}
		return
	}
	if s.backlogged() && (s.ext == nil || s.ext.timer == nil) {
		w.fault("%d bytes are buffered without a time limit", s.out.size())
	}
	if s.flags&flagDeferred != 0 && (s.out == nil || s.state != stateOpen) {
		w.fault("%d bytes are deferred in state %d", s.out.size(), s.state)
	}
	if w.handler != "" || w.queue.pending(0)|w.queue.pending(1) != 0 || len(w.poller.kicks.fds)+len(w.poller.deferrals.sockets) > 0 {
		return // something will be done
	}
	if w.handshake != nil && !w.waiting() {
		return // the handshake goes on
	}
	c, ready := w.secure, w.accepts()
	ends := w.closeWrite || w.endsOutput
	unread := s.out != nil && s.ext != nil && s.ext.replies > 1 // the peer does not read the replies
	// No step is pending: then no work may be left.
	switch {
	case w.aborted, w.shut:
		w.fault("aborted, but not closed")
	case s.failure() != nil && (w.readEOF || w.reset):
		w.fault("writes fail and input has ended, but not closed")
	case w.reset:
		w.fault("reset, but not closed")
	case s.flags&flagWritable != 0:
		w.fault("Writable is not called")
	case s.out != nil && (w.space > 0 || w.writeFails):
		w.fault("bytes are buffered, and can be written")
	case ends && s.out == nil && !w.finSent:
		w.fault("nothing is buffered, but FIN is not sent")
	case w.finSent && w.eof:
		w.fault("both sides have sent FIN, but not closed")
	case (ends || w.refused) && (s.ext == nil || !s.ext.final || s.ext.timer == nil):
		w.fault("the end has no time limit")
	case w.eofSeen && !w.refused && !ends && ready && s.out == nil:
		w.fault("the input has ended, and all is answered, but the output has not ended")
	case s.ext != nil && s.ext.pending != nil && (ready && !unread || w.refused || w.closeWrite):
		w.fault("the connection is ready for input that is kept")
	case w.keeps && ready && !unread && !w.refused && !w.closeWrite:
		w.fault("the connection is ready for input that it has kept")
	case c != nil && c.stage.Load() == secureFailed && (s.state == stateOpen || s.state == stateInputClosed):
		w.fault("TLS has failed, but the connection is open")
	case c != nil && c.stage.Load() == secureInputEnded && !w.eofSeen:
		w.fault("the client has sent close_notify, but the input has not ended")
	case c != nil && c.stage.Load() == secureOpen && w.undelivered > 0 && ready && !unread && !w.refused && !w.closeWrite && !w.eofSeen:
		w.fault("the connection is ready for %d bytes that have been read", w.undelivered)
	case (w.input > 0 || w.eof && !w.readEOF) && (w.refused || ends || w.eofSeen):
		w.fault("there is input to discard")
	case (w.input > 0 || w.eof && !w.readEOF) && ready && !unread:
		w.fault("there is input, and the connection is ready")
	}
}

// errFault is a violation of an invariant.
var errFault = errors.New("violation")

// explore visits all states that events, at most deepest of them, lead to. It
// returns how many states there are and the first violation.
func (e *explorer) explore(deepest int) (int, error) {
	const limit = 1_000_000
	type node struct {
		path     []*step
		state    state
		possible []*step
	}
	first := e.follow(nil)
	seen := map[state]bool{first.end: true}
	queue := []node{{nil, first.end, first.possible}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if len(at.path) == deepest {
			continue
		}
		for _, s := range at.possible {
			path := append(at.path[:len(at.path):len(at.path)], s)
			w := e.follow(path)
			again := w
			for again.inCall() && len(again.faults) == 0 { // at the end of path: follow the call to its return
				again = e.follow(append(again.path[:len(again.path):len(again.path)], returns))
			}
			if s.handler && s.name != oldEvent && s.name != oldHangUp && again.end == at.state {
				w.faults = append(w.faults, "an event that changes nothing is reported over and over")
			}
			if len(w.faults) > 0 {
				return len(seen), fmt.Errorf("%w after %s: %s", errFault, names(path), strings.Join(w.faults, "; "))
			}
			if seen[w.end] {
				continue
			}
			seen[w.end] = true
			if len(seen) > limit {
				return len(seen), fmt.Errorf("more than %d states; the last after %s", limit, names(path))
			}
			queue = append(queue, node{path, w.end, w.possible})
		}
	}
	return len(seen), nil
}

// anyDepth is more events than it takes to reach any state.
const anyDepth = math.MaxInt

func names(path []*step) string {
	var all []string
	for _, s := range path {
		all = append(all, s.name)
	}
	return strings.Join(all, ", ")
}

func TestEveryReachableState(t *testing.T) {
	deepest := anyDepth
	if raceDetector { // the exploration has one goroutine at a time, and takes minutes
		deepest = 8
	}
	for _, tt := range []struct {
		name    string
		deepest int
		change  func(e *explorer)
	}{
		{"small messages", deepest, func(*explorer) {}},
		{"large messages", min(deepest, 9), func(e *explorer) { e.large = true }},
		{"TLS handshake", min(deepest, 8), func(e *explorer) { e.tls, e.stage = true, secureNew }},
		{"large messages over TLS", min(deepest, 6), func(e *explorer) { e.large, e.tls, e.stage = true, true, secureOpen }},
		{"adopted TLS", min(deepest, 7), func(e *explorer) { e.tls, e.stage = true, secureHandshake }},
		{"TLS", min(deepest, 8), func(e *explorer) { e.tls, e.stage = true, secureOpen }},
	} {
		for i, queue := range queueModels {
			deepest := tt.deepest
			if i > 0 && !*everySystem { // another system's
				deepest = min(deepest, 10) - 2
			}
			t.Run(queue.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				e := newExplorer()
				e.queue = queue.make
				tt.change(e)
				start := time.Now()
				n, err := e.explore(deepest)
				t.Logf("%d states in %v", n, time.Since(start))
				check.OK(t, err)
			})
		}
	}
}

// mutant is a change of one transition of endTable.
type mutant struct {
	state endState
	event endEvent
	drop  endAction // 0: the transition as a whole
}

func (m mutant) String() string {
	if m.drop == 0 {
		return fmt.Sprintf("state %d ignores event %d", m.state, m.event)
	}
	return fmt.Sprintf("state %d, event %d, without action %#x", m.state, m.event, m.drop)
}

// allMutants returns every change by which a transition, or one of its actions,
// is missing.
func allMutants() (all []mutant) {
	for state := range numStates {
		for event := range numEvents {
			t := endTable[state][event]
			if t.next == 0 {
				continue
			}
			all = append(all, mutant{state, event, 0})
			for drop := endAction(1); drop != 0; drop <<= 1 {
				if t.do&drop != 0 {
					all = append(all, mutant{state, event, drop})
				}
			}
		}
	}
	return all
}

// Each transition and each action in endTable is needed: without it, the
// exploration finds a state that breaks an invariant.
func TestEveryTransitionIsNeeded(t *testing.T) {
	if *mutants == 0 {
		t.Skip("takes minutes: run with -netloop.mutants=1")
	}
	for _, m := range allMutants() {
		if int(m.state) < *mutants {
			continue
		}
		whole := endTable[m.state][m.event]
		mutated := transition{}
		if m.drop != 0 {
			mutated = transition{whole.next, whole.do &^ m.drop}
		}
		endTable[m.state][m.event] = mutated
		n, err := newExplorer().explore(anyDepth)
		endTable[m.state][m.event] = whole
		if err == nil {
			t.Errorf("%v: not noticed in %d states", m, n)
			continue
		}
		t.Logf("%v: noticed: %v", m, err)
	}
}
