package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wstest"
)

// form is a way to give a server connections.
type form struct {
	name     string
	secure   bool // TLS
	hijacked bool // net/http reads the opening handshake
	serve    func(t *target, ln net.Listener) error
}

// memory is the form without sockets, with a listener of package wstest.
const memory = "memory"

var forms = []form{
	{name: "TCP", serve: func(t *target, ln net.Listener) error { return t.srv.Serve(ln) }},
	{name: "ServeTLS", secure: true, serve: func(t *target, ln net.Listener) error { return t.srv.ServeTLS(ln, "", "") }},
	{name: "tls.NewListener", secure: true, serve: func(t *target, ln net.Listener) error {
		return t.srv.Serve(tls.NewListener(ln, t.serverTLS()))
	}},
	{name: "hijacked TCP", hijacked: true, serve: func(t *target, ln net.Listener) error { return t.http().Serve(ln) }},
	{name: "hijacked TLS", hijacked: true, secure: true, serve: func(t *target, ln net.Listener) error { return t.http().ServeTLS(ln, "", "") }},
	{name: "hijacked TLS by epoll", hijacked: true, secure: true, serve: func(t *target, ln net.Listener) error {
		return t.http().ServeTLS(server.BelowTLS(ln), "", "")
	}},
	{name: "wrapped TCP", serve: func(t *target, ln net.Listener) error { return t.srv.Serve(wrapping{ln}) }},
	{name: "wrapped TLS", secure: true, serve: func(t *target, ln net.Listener) error {
		return t.srv.Serve(wrapping{tls.NewListener(ln, t.serverTLS())})
	}},
	{name: memory, serve: func(t *target, ln net.Listener) error { return t.srv.Serve(ln) }},
}

// wrapping wraps accepted connections, as golang.org/x/net/netutil does.
type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{nc}, nil
}

// target is a server in one form.
type target struct {
	*round
	form   form
	policy server.SlowPolicy
	srv    *server.Server

	addr   string
	memory *wstest.Listener // nil: TCP at addr
	web    *http.Server     // nil: the server has the listener
	served chan error

	kinds []kind // of its peers, in turn
	next  atomic.Int64
	slots chan struct{} // for lasting peers

	dialed                atomic.Int64 // connections of peers
	opens, closes, drains atomic.Int64
	sends, handled        atomic.Int64
	panics, goexits       atomic.Int64
	serving               atomic.Int64
	reported              atomic.Int64 // calls of Server.Log

	broadcastMu sync.Mutex        // guards broadcasts
	broadcasts  map[uint32]uint32 // by source
}

// serverTLS returns the TLS configuration of a server.
func (r *round) serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{r.cert}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		switch hello.ServerName {
		case panicName:
			r.callbacks.Add(1)
			panic("chaos: as the peer wished, in GetConfigForClient")
		case goexitName:
			r.callbacks.Add(1)
			runtime.Goexit()
		}
		return nil, nil
	}}
}

// The server names for which the callback of the TLS configuration panics or
// exits its goroutine.
const (
	panicName  = "panic.example"
	goexitName = "goexit.example"
)

// start starts the server.
func (t *target) start() error {
	t.srv.Handlers = t.handlers()
	t.srv.Authorize = t.authorize
	t.srv.Log = t.log
	t.srv.TLS = t.serverTLS()
	t.served = make(chan error, 1)
	t.broadcasts = make(map[uint32]uint32)
	var ln net.Listener
	if t.form.name == memory {
		t.memory = wstest.Listen(t.plan)
		ln = t.memory
	} else {
		var err error
		if ln, err = sockbuf.Listen(); err != nil {
			return err
		}
		t.addr = ln.Addr().String()
	}
	if t.form.hijacked {
		t.web = &http.Server{
			Handler:           httpupgrade.Handler(t.srv),
			ReadHeaderTimeout: t.srv.HandshakeTimeout,
			TLSConfig:         t.serverTLS(),
			ErrorLog:          log.New(io.Discard, "", 0),
		}
		t.web.TLSConfig.NextProtos = []string{"http/1.1"}
	}
	go func() { t.served <- t.form.serve(t, ln) }()
	return nil
}

// http returns the http.Server.
func (t *target) http() *http.Server { return t.web }

// plan returns the faults of connection n in memory.
func (t *target) plan(n int) wstest.Plan {
	rnd := newRand(t.seed, uint64(1_000_000+n))
	faults := func() wstest.Faults {
		f := wstest.Faults{Buffer: 1 << (11 + rnd.IntN(6))}
		switch rnd.IntN(4) {
		case 0:
			f.Split = wstest.RandomSizes(1 + rnd.IntN(3000))
		case 1:
			f.Latency, f.Buffer = time.Duration(rnd.IntN(3))*time.Millisecond, 16<<10
		}
		return f
	}
	return wstest.Plan{ToServer: faults(), ToClient: faults(), Seed: t.seed + uint64(n)}
}

// dial connects to the server, below TLS.
func (t *target) dial(ctx context.Context) (net.Conn, error) {
	var nc net.Conn
	var err error
	if t.memory != nil {
		nc, err = t.memory.Dial()
	} else {
		nc, err = new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	}
	if err == nil {
		t.dialed.Add(1)
	}
	return nc, err
}

// authorize accepts every peer, except for those that make it fail.
func (t *target) authorize(r *handshake.Request, a *handshake.ServerAnswer) error {
	if k := t.find(r.Query()); k != nil {
		t.fail(k, "Authorize")
	}
	return nil
}

// log is Server.Log. Every 16th call panics.
func (t *target) log(err error) {
	var panicked *server.PanicError
	var refused *server.RefusedError
	switch {
	case errors.As(err, &panicked):
	case errors.As(err, &refused):
	case t.form.hijacked && t.leaving() && errors.Is(err, net.ErrClosed): // after http.Server.Close
	default:
		t.violated(calls, nil, "%s", "the server reports "+err.Error())
	}
	if n := t.reported.Add(1); n%16 == 3 {
		t.callbacks.Add(1)
		panic("chaos: in Server.Log")
	}
}
