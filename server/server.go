package server

import (
	"errors"
	"iter"
	"log"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/endpoint"
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
	DefaultMaxBacklog       = 1 << 20                      // bytes
	DefaultMessageLimit     = endpoint.DefaultMessageLimit // bytes
)

// Server serves WebSocket connections. Its fields are not to be changed once it
// serves; the zero value accepts every handshake from its own origin and does
// nothing with what comes.
//
// Timeouts: zero means the default, negative means none. All but WriteTimeout
// are looked after by a clock that ticks four times in the shortest of them,
// but not more often than every 10 milliseconds: so late they may be.
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
	Authorize func(r *handshake.Request, a *handshake.Acceptance) error

	// Subprotocols are those that the server speaks. The first that the client
	// offers, in the client's order, is chosen; none if there is none.
	Subprotocols []string

	// Hosts are patterns of the hosts that the server goes by, as clients name
	// them: see handshake.CheckHost. A request for another is refused with 421.
	// None means any; a server that only its own machine or network can reach
	// should name its hosts, or any page can reach it by DNS rebinding.
	Hosts []string

	// Origins are patterns of origins besides the server's own from which a
	// browser may connect: see handshake.CheckOrigin. "*" lets every page in the
	// world act with the cookies of its visitor.
	Origins []string

	// Limits bound what a client may send.
	Limits Limits

	// HandshakeTimeout bounds the time from a connection's start to the end of
	// its opening handshake, TLS included.
	HandshakeTimeout time.Duration

	// WriteTimeout bounds each write to a connection; one that takes longer ends
	// the connection.
	WriteTimeout time.Duration

	// CloseTimeout bounds the time from the server's Close to the client's.
	CloseTimeout time.Duration

	// PingInterval is after how long without any sign of life a client is sent a
	// Ping. Negative: never.
	PingInterval time.Duration

	// PongTimeout is how long after such a Ping there must be a sign of life,
	// whatever it is.
	PongTimeout time.Duration

	// MaxBacklog is how many bytes of broadcasts may wait for a client that does
	// not read. A client over it loses its connection, so that the others, and
	// the server's memory, do not suffer.
	MaxBacklog int

	// TLS is the configuration for ListenAndServeTLS. It is cloned; the only
	// application protocol (ALPN) is http/1.1. Not there with the build tag notls.
	TLS *TLSConfig

	// Log is told what no handler is told: a *RefusedError for a handshake that
	// was not accepted, a *PanicError, a failure to accept. If it is nil, the last
	// two go to the standard logger.
	Log func(error)

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	empty     chan struct{} // made by Shutdown; closed when conns is empty
	house     chan struct{} // closed to end the housekeeper; it works while there are conns

	tick atomic.Int64 // the clock of housekeeping.go

	loops loops
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// ListenAndServe listens on the TCP address addr and serves what connects. It
// returns ErrServerClosed after Shutdown, or why it cannot listen or accept.
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
	if !s.addListener(ln) {
		return ErrServerClosed
	}
	defer s.removeListener(ln)
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

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[net.Listener]struct{})
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

func (s *Server) shuttingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// newConn returns a connection over t that waits for the opening handshake.
func (s *Server) newConn(t transport) *Conn {
	c := &Conn{server: s, transport: t}
	c.watch.alive(s.tick.Load())
	c.holders.Store(1)
	s.addConn(c)
	return c
}

func (s *Server) addConn(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*Conn]struct{})
	}
	s.conns[c] = struct{}{}
	if len(s.conns) == 1 {
		s.keepHouse()
	}
}

func (s *Server) removeConn(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 {
		s.leaveHouse()
		if s.empty != nil {
			close(s.empty)
			s.empty = nil
		}
	}
}

// snapshot returns the connections of this moment, also those in the opening
// handshake.
func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
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

// report tells Log, or the standard logger.
func (s *Server) report(err error) {
	if s.Log != nil {
		s.Log(err)
		return
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		return
	}
	var p *PanicError
	if errors.As(err, &p) {
		log.Printf("%v\n%s", err, p.Stack)
		return
	}
	log.Print(err)
}
