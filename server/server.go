package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// Limits bound the frames and messages of a client. Zero means the default, a
// negative value means no limit. Conn.SetLimits changes them for one
// connection.
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
	DefaultMaxBlocked       = 10_000                       // handlers
	DefaultMessageLimit     = endpoint.DefaultMessageLimit // bytes
)

// Server serves WebSocket connections. The zero value accepts handshakes of its
// own origin and ignores messages. Its fields must not be changed while it
// serves.
//
// One rule holds for all limits and timeouts: zero means the default, a
// negative value means no limit. The default is named here with each field;
// some have no limit by default.
//
// A clock checks all timeouts but WriteTimeout and ShutdownSpread. It ticks
// four times in the shortest of them, at least once a second and at most every
// 10 ms. Timeouts have that granularity. 124 days or more may mean no limit.
type Server struct {
	// Handler serves the paths that are not in Handlers.
	Handler Handler

	// Handlers maps paths to their handlers. A path is compared as the client
	// sent it, without the query. If Handler is empty and Handlers is not,
	// other paths are refused with 404.
	Handlers map[string]*Handler

	// Authorize, if it is set, is called last with an opening handshake that is
	// valid. It may change the answer: the subprotocol, Header for further
	// fields such as Set-Cookie, and Extensions, which accepts Compression or is
	// empty, to decline it or to change its parameters. An error refuses the
	// connection: a *handshake.Error with its status, any other error with 403.
	Authorize func(r *handshake.Request, a *handshake.ServerAnswer) error

	// HTTP, if it is set, answers plain HTTP requests such as health checks,
	// with any method, if Hosts allows them. The response should be small; the
	// connection is closed behind it. If HTTP is nil or returns nil, the
	// response says that this is a WebSocket endpoint: 426, 405 or 505.
	// AcceptHandshake does not call HTTP: behind net/http, the mux serves such
	// requests.
	HTTP func(r *handshake.Request) *handshake.HTTPAnswer

	// Subprotocols are the subprotocols that the server speaks. It chooses the
	// first one of the client's list that is in here, and none if there is
	// none.
	Subprotocols []string

	// Hosts are patterns of the host names that the server accepts in the Host
	// field; see handshake.CheckHost. A request for another host is refused
	// with 421. The default is any host. A server that only its own machine or
	// network can reach should name its hosts: otherwise any web page can reach
	// it by DNS rebinding.
	//
	// A malformed pattern in Hosts or Origins is a *handshake.PatternError:
	// Serve returns it, and AcceptHandshake refuses all handshakes with 500 and
	// reports to Log.
	Hosts []string

	// Origins are patterns of origins, besides the server's own, whose pages
	// may connect from a browser; see handshake.CheckOrigin. "*" lets every
	// page act with the cookies of its visitor.
	Origins []string

	// CheckOrigin, if it is set, decides about an Origin that is not the
	// server's own and that Origins do not allow: true allows it. A panic in it
	// is a status 500.
	CheckOrigin func(r *handshake.Request) bool

	// Limits bound the frames and messages of a client.
	Limits Limits

	// HandshakeLimits bound the size of a request. A larger one is refused with
	// 414 or 431. Behind net/http, http.Server.MaxHeaderBytes has that role.
	HandshakeLimits handshake.Limits

	// Compression negotiates a compression of messages with clients that offer
	// it, if it is set. A *permessage.Deflate is one. Authorize may decline it
	// for a client.
	Compression Compression

	// MaxOutgoingFrame bounds the payload, in bytes, of the data frames that
	// the server sends. A longer message is sent in fragments. Default: no
	// limit.
	MaxOutgoingFrame int

	// HandshakeTimeout bounds the time from a connection's start to the end of
	// its opening handshake, TLS included. Default: 10 s.
	HandshakeTimeout time.Duration

	// WriteTimeout bounds the time without progress in writing to a connection,
	// which then ends. Default: 10 s. A socket makes progress with each byte
	// that the kernel accepts; another net.Conn, with each 16 KiB.
	WriteTimeout time.Duration

	// CloseTimeout bounds the time from the server's Close to the client's.
	// Default: 5 s.
	CloseTimeout time.Duration

	// PingInterval is the time without input after which the server sends a
	// client a heartbeat: a Ping; see Conn.RTT. Default: 30 s. If very many
	// clients fall silent together, their heartbeats are spread over up to a
	// quarter of PingInterval.
	PingInterval time.Duration

	// PongTimeout bounds the time from a heartbeat to the next byte from the
	// client, which need not be a Pong. Default: 10 s. On Linux, a client that
	// acknowledges bytes sent before the heartbeat gets more time: the Ping
	// lies behind them.
	PongTimeout time.Duration

	// IdleTimeout bounds the time without data messages in either direction.
	// Default: no limit. The server then closes the connection with 1001.
	// Pings, Pongs and a part of a frame do not count as messages. A connection
	// is not idle while a handler runs, messages wait for Receive, or output is
	// buffered. PingInterval detects dead clients; IdleTimeout ends live ones
	// that do nothing.
	IdleTimeout time.Duration

	// AssemblyTimeout bounds the time for each 64 KiB of a message, and for a
	// message or control frame that is shorter, from its first byte. Default:
	// 30 s, which requires about 20 kbit/s. The time for which the application
	// accepts no input does not count. A slower client has its connection
	// failed with 1008.
	//
	// Without it a client could keep up to Limits.Message bytes of the server's
	// memory for ever, by a message that it does not finish. Set it to -1 if
	// clients send one endless message in fragments, with pauses.
	AssemblyTimeout time.Duration

	// MaxLifetime is the time after which a connection is closed with 1001, so
	// that its client connects again: to a server with a lower load, or with
	// valid credentials. Default: no limit. It varies by up to a tenth at
	// random, so that clients that connected together do not return together.
	MaxLifetime time.Duration

	// ShutdownSpread is the time over which Shutdown closes the connections,
	// evenly, so that the clients do not connect elsewhere all at once.
	// Default: no time.
	ShutdownSpread time.Duration

	// MaxBacklog bounds the bytes buffered for one client that reads too
	// slowly. Default: 1 MiB. SlowPolicy decides about a message that exceeds
	// it. When a client does not read the replies of Handler.Message, or the
	// Pongs, and more than half of MaxBacklog is buffered, the server reads
	// nothing until the buffer is empty. Pongs are exempt from MaxBacklog: they
	// may exceed it by half of it and 64 KiB.
	MaxBacklog int

	// MaxTotalBacklog bounds the bytes buffered for all clients. Default: 256
	// MiB. When it is reached, SlowPolicy applies to clients with more than 128
	// KiB.
	MaxTotalBacklog int

	// SlowPolicy decides about a message that exceeds MaxBacklog or
	// MaxTotalBacklog.
	SlowPolicy SlowPolicy

	// MaxConns bounds the connections, including those in the opening
	// handshake, MaxConnsPerAddr those of one address, and MaxHandshakes those
	// in the opening handshake. Default: no limit. An IPv6 address counts as
	// its network of 64 bits. Behind a proxy, all connections have the proxy's
	// address. A connection that exceeds a limit is closed without a response,
	// and Log gets a *CapacityError; AcceptHandshake refuses one that exceeds
	// MaxConns with 503.
	MaxConns, MaxConnsPerAddr, MaxHandshakes int

	// MaxBlocked bounds the handlers that may block without delaying others.
	// Default: 10,000. Each of them keeps a goroutine and about 64 KiB, 240 KiB
	// if messages are large. Beyond the bound, input is read only when one of
	// them returns, and Stats.HandOffsRefused counts. It does not bound
	// Handler.Serve, nor connections with a goroutine of their own; see the
	// package documentation.
	MaxBlocked int

	// BatchedSends has the loop write messages that a handler sends to many
	// other connections, such as a broadcast, by io_uring: one system call for
	// up to 256 connections. Default: off. It needs Linux 5.18 and a system
	// that allows io_uring; many containers do not. Where it is missing, and
	// after any error of it, each connection is written by a call of its own.
	// It concerns connections of the epoll loop, with TLS or without, and calls
	// for at least 16 of them. Stats.BatchedSends counts.
	BatchedSends bool

	// TLS is the configuration of ListenAndServeTLS and ServeTLS. It is cloned.
	// The only application protocol (ALPN) is http/1.1. The build tag notls
	// leaves it out.
	TLS *TLSConfig

	// Log receives errors that no handler receives: a *RefusedError for a
	// handshake that was not accepted, a *PanicError, and failures to accept.
	// If it is nil, panics and failures to accept go to the standard logger. If
	// Log panics, both errors go there. Clients that do not ask for WebSocket
	// are counted by Stats only: those that connect and close, send plain HTTP,
	// or TLS to a port without TLS.
	Log func(error)

	patterns struct { // of Hosts and Origins, validated once
		once sync.Once
		err  error
	}

	mu          sync.Mutex                 // guards the rest, down to sweeperDone
	closing     bool                       // Shutdown was called
	listeners   map[*net.Listener]struct{} // by pointers, because a listener need not be comparable
	conns       []*Conn                    // in no order
	connCounter connCounter                // counts conns
	empty       chan struct{}              // made by Shutdown; closed when conns is empty
	sweeperDone chan struct{}              // stops the sweeper, which runs while there are conns

	clock    clock
	counters counters

	// Configurations of endpoints, without and with partial messages, and of
	// those with compression.
	engines    [2]atomic.Pointer[endpoint.SharedConfig]
	compressed sync.Map // of compressedKey and *endpoint.SharedConfig

	netloop struct { // made with the first listener or connection
		once sync.Once
		loop *netloop.Loop
	}
}

// Compression is an extension that compresses messages. Package permessage has
// one.
type Compression interface {
	// Answer returns the server's answer to the offers of a client, an empty
	// list if it accepts none.
	Answer(offers []handshake.Extension) []handshake.Extension

	// Accepted returns the compression that an answer, which Authorize may have
	// changed, accepts; nil if the list is empty. The values of connections
	// with equal parameters are equal. An error refuses the handshake with 500.
	Accepted(answer []handshake.Extension) (endpoint.Compression, error)
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// ListenAndServe listens on the TCP address addr and serves connections. It
// returns an error if it cannot listen or accept, a *handshake.PatternError, or
// ErrServerClosed after Shutdown.
func (s *Server) ListenAndServe(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// Serve serves the connections of ln, and closes ln when it returns. The errors
// are those of ListenAndServe.
func (s *Server) Serve(ln net.Listener) error {
	return s.serve(ln, func() error { return s.serveListener(ln) })
}

// serve calls accept, which serves the connections of ln, and closes ln.
func (s *Server) serve(ln net.Listener, accept func() error) error {
	defer ln.Close()
	if err := s.checkPatterns(); err != nil {
		return err
	}
	if !s.addListener(&ln) {
		return ErrServerClosed
	}
	defer s.removeListener(&ln)
	err := accept()
	if s.shuttingDown() { // a listener may return any error when it is closed
		return ErrServerClosed
	}
	return err
}

// startConn begins the connection c over socket, in the opening handshake.
func (s *Server) startConn(c *Conn, socket netloop.Socket) {
	c.transport = socket
	c.refs.Store(1)
	opening := s.counters.begun(c)
	why, closing := s.addConn(c)
	if why == nil && s.MaxHandshakes > 0 && opening > int64(s.MaxHandshakes) {
		why = &CapacityError{Max: s.MaxHandshakes, Option: "MaxHandshakes"}
	}
	if why != nil {
		s.counters.count(func(st *Stats) { st.Full++ })
		c.abort(why)
	}
	if closing {
		c.refuseShutdown()
	}
}

// compressedKey is the part of a configuration that endpoints do not have in
// common.
type compressedKey struct {
	partial     bool
	compression endpoint.Compression
}

// sharedConfig returns the configuration of the server's endpoints. partial is
// endpoint.Config.Partial, compression is nil if messages are not compressed.
func (s *Server) sharedConfig(partial bool, compression endpoint.Compression) *endpoint.SharedConfig {
	if compression != nil {
		key := compressedKey{partial, compression}
		shared, ok := s.compressed.Load(key)
		if !ok {
			shared, _ = s.compressed.LoadOrStore(key, s.newSharedConfig(partial, compression))
		}
		return shared.(*endpoint.SharedConfig)
	}
	shared := &s.engines[0]
	if partial {
		shared = &s.engines[1]
	}
	if shared.Load() == nil {
		shared.CompareAndSwap(nil, s.newSharedConfig(partial, nil))
	}
	return shared.Load()
}

func (s *Server) newSharedConfig(partial bool, compression endpoint.Compression) *endpoint.SharedConfig {
	return endpoint.NewSharedConfig(endpoint.Config{
		Role:             endpoint.Server,
		Limits:           s.Limits,
		Partial:          partial,
		MaxOutgoingFrame: s.MaxOutgoingFrame,
		Compression:      compression,
	})
}
