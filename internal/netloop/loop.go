package netloop

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is the user of a [Socket]. The loop calls Started first and Closed
// last, each once. Received, Writable, InputClosed and Closed never overlap for
// one connection; the others may be called from any goroutine.
type Conn interface {
	// Started is called before all other methods, with the socket. It may
	// write and abort.
	Started(s Socket)

	// ReadBuffer returns a buffer of at most size bytes that the next bytes
	// should be read into, nil for the loop's own buffer.
	ReadBuffer(size int) []byte

	// Received handles b, the next bytes from the peer. b is the loop's again
	// when Received returns. rest is the end of b that the connection does not
	// take now: it is passed to a later call, when Ready reports true and the
	// sockets with events have had their turn. An empty rest that is not nil
	// requests that call too. If ok is false, the connection accepts no more
	// input: the loop discards input until the socket is closed.
	Received(b []byte) (rest []byte, ok bool)

	// Ready reports whether Received accepts input or, after InputClosed,
	// whether all input is answered. A change from false to true is followed
	// by a call of Socket.Resume. It must not block: it is called with the
	// socket's lock held.
	Ready() bool

	// Partial reports whether a frame, message or handshake is incomplete. It
	// is called by the goroutine that calls Received.
	Partial() bool

	// InputClosed is called when the peer has closed its side, or has ended its
	// input by close_notify of TLS. The socket stays open until Ready reports
	// true and the write buffer is empty.
	InputClosed()

	// Flushed is called when the write buffer has become empty. It reports
	// whether Writable should be called. It must not block: it is called with
	// the socket's lock held.
	Flushed() bool

	// Writable is called after Flushed has reported true. If ok is false, the
	// connection accepts no more input, as with Received.
	Writable() (ok bool)

	// BeginBatch lends batch, a value of Config.NewBatch, to collect output in
	// until EndBatch. EndBatch passes the collected bytes to Writev. It may be
	// called at any time, any number of times.
	BeginBatch(batch any)
	EndBatch()

	// WriterBlocked reports whether the bytes being written belong to a sender
	// that waits for space in the write buffer. It must not block: it is called
	// with the socket's lock held.
	WriterBlocked() bool

	// Panicked is called when a function of the application, such as a method
	// of its net.Conn, panicked with value or, if value is nil, called
	// runtime.Goexit. If end is true, the connection must end, and the error,
	// if it is not nil, is passed to Closed.
	Panicked(value any, end bool) error

	// Closed is called when the socket is closed. err is the reason, nil if
	// the connection had accepted no more input. It is io.EOF if the peer had
	// ended its input before that.
	Closed(err error)
}

const (
	// watchPeriod is the default of Config.WatchPeriod.
	watchPeriod = time.Millisecond

	// idleChecks is the number of checks without a handler after which a
	// watchdog sleeps.
	idleChecks = 20
)

// maxReadBuffer is the maximum for Conn.ReadBuffer, in bytes.
const maxReadBuffer = 1 << 20

// Socket is a connection's socket. Its methods may be called from any
// goroutine; Write and Writev by one goroutine at a time.
type Socket interface {
	// Write writes all of p or fails. It does not wait for the peer and does
	// not retain p: bytes that the kernel does not accept are buffered.
	Write(p []byte) (int, error)

	// Writev is Write for two pieces, each possibly empty.
	Writev(head, payload []byte) error

	// Buffered returns the size of the write buffer in bytes.
	Buffered() int

	// Deferred reports whether the bytes in the write buffer have not been
	// passed to the kernel yet: handlers of other connections have written
	// them, and may write more. Flush passes them now.
	Deferred() bool
	Flush()

	// MoreInput tells the loop, during Conn.Received, whether there is input
	// behind the part that is being handled. If so, output to other sockets may
	// be deferred, because more may follow.
	MoreInput(more bool)

	// Space returns how many of size bytes may be written now without exceeding
	// WriteLimit, 0 if the writer must wait. AwaitSpace returns when Space may
	// be greater than 0, or the socket cannot be written to any more.
	Space(size int) int
	AwaitSpace(size int)

	// Unacknowledged returns the number of bytes that were removed from the
	// write buffer and that the peer's kernel has not acknowledged, -1 if it is
	// unknown.
	Unacknowledged() int

	// MustPause reports, during Conn.Received, whether the replies in the write
	// buffer exceed WriteLimit.PauseRead: the peer does not read them. A
	// connection that replies to one read many times then returns the rest of
	// its input, which it gets when the buffer is empty.
	MustPause() bool

	// ReadPaused reports whether reading is paused because the peer does not
	// read the replies to its messages. Config.WriteTimeout ends that.
	ReadPaused() bool

	// Resume tells the loop that Conn.Ready may report true.
	Resume()

	// CloseWrite ends the output: Conn.EndBatch is called, the write buffer is
	// flushed, then the socket is closed for writing, and input is discarded.
	// The socket is closed when the peer closes its side, but no later than
	// Config.Linger, counted from the return of Conn.Received if that is
	// running. If exchanged is true, the peer expects no more: the socket is
	// closed as soon as the output is flushed, if no input is unread.
	CloseWrite(exchanged bool)

	// Abort discards the write buffer and ends the connection. Conn.Closed
	// will be called.
	Abort() error

	LocalAddr() net.Addr
	RemoteAddr() net.Addr

	// Shard returns the index of the poller that serves the socket, -1 if none
	// does.
	Shard() int
}

// Open returns a new connection. If polled is true, it also returns a
// PolledSocket, which should be part of the same allocation.
type Open func(polled bool) (Conn, *PolledSocket)

// Config is the policy of a [Loop]. It must not change while the loop serves.
type Config struct {
	// WriteTimeout bounds the time without progress in writing.
	WriteTimeout WriteTimeout

	// Linger is how long the socket of a connection that accepts no more input
	// stays open, BlockedLinger the same while Conn.WriterBlocked.
	Linger, BlockedLinger time.Duration

	// Limit bounds write buffers.
	Limit WriteLimit

	// MaxBlocked bounds the handlers that keep a goroutine of their own because
	// they block. Negative means no limit.
	MaxBlocked int

	// NewBatch returns a value for Conn.BeginBatch. Each poller has a few.
	NewBatch func() any

	// WatchPeriod is how long a handler may hold back others, or its output,
	// at least; twice that at most. A watchdog checks that. 0 means 1 ms.
	WatchPeriod time.Duration

	// BatchedSends is true if a poller may write the deferred output of many
	// sockets in one system call.
	BatchedSends bool

	// Clock is a coarse clock: its user increases it every second or more
	// often.
	Clock *atomic.Uint32

	// Counters are updated by the loop.
	Counters *Counters

	// Log receives errors of Accept that Serve survives.
	Log func(error)
}

// Counters are a loop's statistics.
type Counters struct {
	Buffered        *Gauge        // bytes in write buffers
	Blocked         atomic.Int64  // handlers that block and have a goroutine of their own
	HandOffs        atomic.Uint64 // handlers that got one
	HandOffsRefused atomic.Uint64 // handlers that kept their poller waiting, because of Config.MaxBlocked
	BatchedSends    atomic.Uint64 // writes that shared a system call
}

// Gauge is a number that rises and falls, and its maximum.
type Gauge struct{ now, peak atomic.Int64 }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int) {
	if n == 0 {
		return
	}
	now := g.now.Add(int64(n))
	for {
		peak := g.peak.Load()
		if now <= peak || g.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// Load returns the number.
func (g *Gauge) Load() int64 { return g.now.Load() }

// Peak returns the maximum.
func (g *Gauge) Peak() int64 { return g.peak.Load() }

// Loop serves connections: TCP by the polled loop where there is one, all others
// by goroutines.
type Loop struct {
	cfg     Config
	calls   *sync.Pool // of foreignCalls
	batches batches    // of the goroutine loop

	mu     sync.Mutex  // guards polled
	polled *polledLoop // made when it is needed
}

// New returns a loop.
func New(cfg Config) *Loop {
	if cfg.WatchPeriod == 0 {
		cfg.WatchPeriod = watchPeriod
	}
	return &Loop{cfg: cfg, calls: newForeignCalls(), batches: batches{newBatch: cfg.NewBatch, period: cfg.WatchPeriod}}
}

// Serve accepts connections from ln until ln is closed. The error is that of
// Accept. Errors that may pass, such as too many open files, are logged.
func (l *Loop) Serve(ln net.Listener, open Open) error {
	if tcp := TCPListener(ln); tcp != nil && canPoll {
		return l.pollers().serve(tcp, open)
	}
	return l.serveGoroutines(ln, open)
}

// ServeTLS is Serve over TLS. ln is a listener without TLS. Conn.Started is
// called before the TLS handshake: the connection bounds its time, by
// Socket.Abort. recovered returns the error of a net.Conn's method
// that does not return, for a connection that is not served yet.
func (l *Loop) ServeTLS(ln net.Listener, secure Secure, open Open, recovered Recover) error {
	if tcp := TCPListener(ln); tcp != nil && canPoll {
		return l.pollers().serveTLS(tcp, secure, open)
	}
	return l.serveGoroutines(secureListener{AsyncListener(ln, l.cfg.WriteTimeout, recovered), secure}, open)
}

// Secure returns the server's side of a new TLS connection over nc.
type Secure func(nc net.Conn) TLS

// TLS is the part of *tls.Conn that a loop uses. Programs that do not use TLS
// then do not link it.
type TLS interface {
	net.Conn
	Handshake() error
	CloseWrite() error
}

// secureListener is a listener of TLS connections.
type secureListener struct {
	net.Listener
	secure Secure
}

func (l secureListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.secure(nc), nil
}

// Start serves nc and returns at once. Conn.Received is first called with
// first, even if that is empty. ended, if it is not nil, is closed after
// Conn.Closed. If nc is polled, its descriptor is duplicated and nc closed.
func (l *Loop) Start(nc net.Conn, open Open, first []byte, ended chan struct{}) {
	if first == nil {
		first = []byte{}
	}
	if canPoll && l.pollers().start(nc, open, first, ended) == nil {
		return
	}
	l.startGoroutine(nc, open, first, ended)
}
