package server

import (
	"iter"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
)

// Limits bound what a client may send. Zero means the default, negative means
// no limit.
type Limits = endpoint.Limits

// Defaults of Server.
const (
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultCloseTimeout     = 5 * time.Second
	DefaultPingInterval     = 30 * time.Second
	DefaultPongTimeout      = 10 * time.Second
	DefaultAssemblyTimeout  = 30 * time.Second
	DefaultMaxBacklog       = 1 << 20                      // bytes
	DefaultMaxTotalBacklog  = 256 << 20                    // bytes
	DefaultMaxDisplaced     = 10_000                       // handlers
	DefaultMessageLimit     = endpoint.DefaultMessageLimit // bytes
)

// Server serves WebSocket connections. Its fields are not to be changed once it
// serves; the zero value accepts every handshake from its own origin and does
// nothing with what comes.
//
// Time limits: zero means the default, which for IdleTimeout, MaxLifetime and
// ShutdownSpread is none, and negative means none. All but WriteTimeout and
// ShutdownSpread are looked after by a clock that ticks four times in the shortest
// of them, but at least once in a second and not more often than every 10
// milliseconds: so late they may be. What is 124 days or longer may be no limit.
type Server struct {
	// Handler serves the paths that Handlers does not name.
	Handler Handler

	// Handlers serve their path, compared as it was sent, without the query. A
	// path that is not in here is refused with 404, if Handler is empty and
	// Handlers is not.
	Handlers map[string]*Handler

	// Authorize, if it is set, has the last word on an opening handshake that is
	// valid in all else. It may change what is going to be answered: the
	// subprotocol, and Header for further fields such as Set-Cookie. If it
	// returns an error, the connection is refused: by a *handshake.Error with its
	// status, by another with 403.
	Authorize func(r *handshake.Request, a *handshake.ServerAnswer) error

	// HTTP, if it is set, answers requests that are plain HTTP and do not ask for
	// WebSocket, such as health checks: of whatever method, once Hosts allows them.
	// The connection is closed after the answer, which should be small. If it returns
	// nil, or is not set, the client is told that this is a WebSocket endpoint, with 426,
	// 405 or 505. Upgrade does not call it: behind net/http, the mux serves such requests.
	HTTP func(r *handshake.Request) *handshake.HTTPAnswer

	// Subprotocols are those that the server speaks. The first that the client
	// offers, in the client's order, is chosen; none if there is none.
	Subprotocols []string

	// Hosts are patterns of the hosts that the server goes by, as clients name
	// them: see handshake.CheckHost. A request for another is refused with 421.
	// None means any; a server that only its own machine or network can reach
	// should name its hosts, or any page can reach it by DNS rebinding.
	//
	// A malformed pattern of Hosts or Origins is a *handshake.PatternError: Serve
	// returns it, and Upgrade refuses every handshake with 500 and tells Log.
	Hosts []string

	// Origins are patterns of origins besides the server's own from which a
	// browser may connect: see handshake.CheckOrigin. "*" lets every page in the
	// world act with the cookies of its visitor.
	Origins []string

	// Limits bound what a client may send.
	Limits Limits

	// HandshakeLimits bound the size of a request. One over them is refused with 414 or
	// 431. Behind net/http, http.Server.MaxHeaderBytes does that.
	HandshakeLimits handshake.Limits

	// MaxOutgoingFrame is the largest payload, in bytes, of a data frame that is
	// sent, for clients that take no larger ones. A longer message is sent in
	// fragments. 0 or less means no limit, which is the default.
	MaxOutgoingFrame int

	// HandshakeTimeout bounds the time from a connection's start to the end of
	// its opening handshake, TLS included.
	HandshakeTimeout time.Duration

	// WriteTimeout bounds the time without progress in writing to a connection:
	// 10 s. A socket makes progress with each byte that the system takes, another
	// net.Conn, such as one of package crypto/tls, with each 16 KiB. More time ends
	// the connection.
	WriteTimeout time.Duration

	// CloseTimeout bounds the time from the server's Close to the client's.
	CloseTimeout time.Duration

	// PingInterval is after how long without any sign of life a client is sent a
	// Ping, a heartbeat: see also Conn.RTT. Every byte that comes is a sign of
	// life. If very many clients fall silent at the same time, their heartbeats
	// are spread over up to a quarter of PingInterval more. Negative: never.
	PingInterval time.Duration

	// PongTimeout is how long after such a Ping there must be a sign of life, of any
	// kind. On Linux a client is alive, too, that acknowledges bytes that were sent
	// before the Ping: it lies behind them.
	PongTimeout time.Duration

	// IdleTimeout is for how long a connection may carry no data message in
	// either direction before the server closes it with 1001. Unlike
	// PingInterval, which is to find clients that are gone, it is about clients
	// that are there and have nothing to say: Pings and Pongs do not count, nor
	// does a client's half a frame. While a handler runs, messages wait for
	// Handler.Serve, or something sent waits for the client, a connection is not
	// idle. Not set: never.
	IdleTimeout time.Duration

	// AssemblyTimeout bounds how long a message may take that has begun to
	// arrive, from its first byte to its last; a control frame too. For a message
	// of more than 64 KiB it bounds each 64 KiB of it. Otherwise a client could
	// keep up to Limits.Message bytes of the server's memory for ever, by a message
	// that does not end, a byte now and then being sign of life enough. The time
	// in which the program is busy and nothing is read does not count.
	//
	// A client over it has its connection failed with 1008. The default, 30 s,
	// asks for about 20 kbit/s, which every link in use has: an upload of 16 MiB
	// may take two hours as long as it makes progress, and is given up 30 s after it
	// has stopped. A program to which clients send one message without an end, in
	// fragments and with pauses, sets it to -1.
	AssemblyTimeout time.Duration

	// MaxLifetime is after how long, counted from when it was accepted, a
	// connection is closed with 1001, so that its client connects again: to a
	// server that has less to do, or with credentials that are still good. Up to a
	// tenth of it is added or taken away at random, so that clients that came at
	// once do not come back at once. Not set: never.
	MaxLifetime time.Duration

	// ShutdownSpread is the time over which Shutdown spreads its closings, evenly,
	// so that the clients do not all connect elsewhere at once. Not set: all are
	// closed at once.
	ShutdownSpread time.Duration

	// MaxBacklog is how many bytes may wait for one client that does not read: zero
	// means the default, negative means no limit. SlowPolicy says what happens to
	// the message that would be too much. From a client that sends on and does not
	// take the answers of Handler.Message, nothing is read once half of MaxBacklog
	// waits for it, until it has taken all. Answers to bytes that were read together,
	// up to 256 KiB, may exceed MaxBacklog.
	MaxBacklog int

	// MaxTotalBacklog is the same for all clients together. When it is reached, the
	// policy is applied to messages for clients for which more than 128 KiB wait.
	MaxTotalBacklog int

	// SlowPolicy is what becomes of what is sent to a client that does not read,
	// and for which too much waits already.
	SlowPolicy SlowPolicy

	// MaxConns is how many connections there may be at a time, those in the opening
	// handshake included; MaxConnsPerAddr how many from one address, which for IPv6
	// is a network of 64 bits, and behind a proxy is the proxy's; MaxHandshakes how
	// many in the opening handshake. One more is cut, without an answer, and Log is
	// told of a *CapacityError; Upgrade refuses with 503 what would be more than
	// MaxConns. Zero means no limit, and so does negative.
	MaxConns, MaxConnsPerAddr, MaxHandshakes int

	// MaxDisplaced is how many handlers may block at the same time without others
	// waiting for them: each of those keeps a goroutine and about 140 KiB. Past it,
	// what comes from clients is read only when one of them has returned, and Stats
	// counts that as Crowded. Zero means the default, negative means no limit. It
	// does not bound Handler.Serve, nor connections that have a goroutine of their
	// own anyway: see the package documentation.
	MaxDisplaced int

	// TLS is the configuration for ListenAndServeTLS. It is cloned; the only
	// application protocol (ALPN) is http/1.1. Not there with the build tag notls.
	TLS *TLSConfig

	// Log is told what no handler is told: a *RefusedError for a handshake that
	// was not accepted, a *PanicError, a failure to accept. If it is nil, the last
	// two go to the standard logger. If Log itself panics, the standard logger gets
	// both errors. A client that does not ask for WebSocket is only counted, see
	// Stats: one that connects and hangs up, plain HTTP, TLS to a port for plain HTTP.
	Log func(error)

	patterns struct { // Hosts and Origins, checked once
		once sync.Once
		err  error
	}

	mu        sync.Mutex
	closing   bool
	listeners map[*net.Listener]struct{} // by pointers, because a listener may be no key
	conns     []*Conn                    // in no order
	census    census                     // of conns
	empty     chan struct{}              // made by Shutdown; closed when conns is empty
	house     chan struct{}              // closed to end the housekeeper; it works while there are conns

	clock clock // see watch.go

	counters counters

	// What the engine is told, without and with partial messages.
	engines [2]atomic.Pointer[endpoint.SharedConfig]

	loops loops
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// ListenAndServe listens on the TCP address addr and serves what connects. It
// returns ErrServerClosed after Shutdown, or why it cannot listen or accept, or a
// *handshake.PatternError.
func (s *Server) ListenAndServe(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// Serve serves what connects to ln, and closes ln when it returns. See
// ListenAndServe for the error.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if err := s.checkPatterns(); err != nil {
		return err
	}
	if !s.addListener(&ln) {
		return ErrServerClosed
	}
	defer s.removeListener(&ln)
	err := s.serve(ln)
	if s.shuttingDown() { // not every listener says net.ErrClosed when it is closed
		return ErrServerClosed
	}
	return err
}

// goroutines returns the loop that serves everything that is a net.Conn.
func (s *Server) goroutines() *goroutineLoop {
	return &goroutineLoop{writeTimeout: orDefault(s.WriteTimeout, DefaultWriteTimeout)}
}

func (s *Server) addListener(ln *net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[*net.Listener]struct{})
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln *net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

func (s *Server) shuttingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// begin makes c, which must be a zero Conn, a connection over t that waits for the
// opening handshake.
func (s *Server) begin(c *Conn, t transport) {
	c.server, c.transport = s, t
	c.holders.Store(1)
	opening := s.counters.begun(c)
	t.attach(c)
	why, closing := s.addConn(c)
	if why == nil && s.MaxHandshakes > 0 && opening > int64(s.MaxHandshakes) {
		why = &CapacityError{Max: s.MaxHandshakes, Option: "MaxHandshakes"}
	}
	if why != nil {
		s.counters.count(func(st *Stats) { st.Full++ })
		c.cut(why)
	}
	if closing {
		c.refuseShutdown()
	}
}

// terms returns the terms of the server's endpoints, which differ by whether their
// handlers take partial messages.
func (s *Server) terms(partial bool) *endpoint.SharedConfig {
	shared := &s.engines[0]
	if partial {
		shared = &s.engines[1]
	}
	if shared.Load() == nil {
		shared.CompareAndSwap(nil, endpoint.NewSharedConfig(endpoint.Config{
			Role:             endpoint.Server,
			Limits:           s.Limits,
			Partial:          partial,
			MaxOutgoingFrame: s.MaxOutgoingFrame,
		}))
	}
	return shared.Load()
}

// addConn adds c, and returns the limit that it breaks, and whether the server was
// shutting down before.
func (s *Server) addConn(c *Conn) (why *CapacityError, closing bool) {
	from := s.origin(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		s.keepHouse()
	}
	c.watch.begin(s.clock.now())
	c.place = int32(len(s.conns))
	s.conns = append(s.conns, c)
	return s.come(c, from), s.closing
}

func (s *Server) removeConn(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left(c)
	last := len(s.conns) - 1
	s.conns[last].place = c.place
	s.conns[c.place] = s.conns[last]
	s.conns[last] = nil
	s.conns = s.conns[:last]
	if last > 0 {
		if room := cap(s.conns); room > fewConns && last < room/4 {
			s.conns = append(make([]*Conn, 0, room/2), s.conns...)
		}
		return
	}
	s.conns = nil
	s.leaveHouse()
	if s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// fewConns is for how many connections room is kept, even if there are fewer.
const fewConns = 1024

// snapshot returns the connections of this moment, also those in the opening
// handshake.
func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Conns returns an iterator over the connections that are open, in no order. It
// begins with those of the moment when it is called; one that ends meanwhile may
// still come.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for _, c := range s.snapshot() {
			if c.isOpen() && !yield(c) {
				return
			}
		}
	}
}
