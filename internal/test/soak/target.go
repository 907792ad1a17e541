package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// startRequest is the first message from the load to the target. Each message
// between them is a line of JSON.
type startRequest struct {
	CertFile, KeyFile string    // for all servers; all clients trust it
	HostileServers    []address // hostile servers
	Clients           int       // clients of the hostile servers
}

// address is a server's.
type address struct {
	Name string
	Addr string
	TLS  bool
}

func (a address) url(path string) string {
	if a.TLS {
		return "wss://" + a.Addr + path
	}
	return "ws://" + a.Addr + path
}

// The commands that follow. The target answers each but the last with a sample.
const (
	cmdIdle        = "idle" // the sample before the first connection
	cmdSample      = "sample"
	cmdStopClients = "stop-clients"
	cmdStop        = "stop"
)

// target is the measured process.
type target struct {
	servers []*server.Server
	visits  atomic.Uint64
	open    atomic.Int64  // connections to hostile servers
	unended atomic.Uint64 // visits that exceeded all limits
	idle    sample        // before the first connection
	leave   context.CancelFunc
	clients sync.WaitGroup
}

// runTarget executes the commands of in, until cmdStop.
func runTarget(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(out)
	var o startRequest
	if !lines.Scan() {
		return fmt.Errorf("no start request: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
		return err
	}
	s := new(target)
	addresses, err := s.start(o)
	if err != nil {
		return err
	}
	if err := answers.Encode(addresses); err != nil {
		return err
	}
	for lines.Scan() {
		switch lines.Text() {
		case cmdIdle:
			if err := answers.Encode(s.idle); err != nil {
				return err
			}
			continue
		case cmdStopClients:
			s.leave()
			s.clients.Wait()
		case cmdStop:
			return s.stop()
		}
		if err := answers.Encode(s.sample()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// start starts a server for each way to serve a connection, and the clients.
func (s *target) start(o startRequest) (addresses []address, err error) {
	cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	secure := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, way := range []struct {
		name  string
		tls   bool
		serve func(s *server.Server, ln net.Listener) error
	}{
		{"system's loop", false, (*server.Server).Serve},
		{"goroutine loop", false, func(s *server.Server, ln net.Listener) error { return s.Serve(struct{ net.Listener }{ln}) }},
		{"ServeTLS", true, func(s *server.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") }},
		{"a listener of crypto/tls", true, func(s *server.Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, secure)) }},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		srv := newServer()
		srv.TLS = secure
		s.servers = append(s.servers, srv)
		addresses = append(addresses, address{Name: way.name, Addr: ln.Addr().String(), TLS: way.tls})
		go func() {
			if err := way.serve(srv, ln); err != server.ErrServerClosed {
				panic(err)
			}
		}()
	}
	if err := greet(addresses, pool); err != nil {
		return nil, err
	}
	s.idle = s.sample()
	ctx, leave := context.WithCancel(context.Background())
	s.leave = leave
	for i := range o.Clients {
		s.clients.Go(func() { s.visit(ctx, i, o.HostileServers, pool) })
	}
	return addresses, nil
}

// greet connects to each server once, so that lazily created state exists.
func greet(addresses []address, pool *x509.CertPool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, at := range addresses {
		c, err := client.Dial(ctx, at.url("/events"), &client.Config{TLS: trusting(pool)})
		if err != nil {
			return err
		}
		if err := c.Close(wire.NormalClosure, ""); err != nil {
			return err
		}
	}
	return nil
}

// The limits of the servers and clients. They are shorter than the defaults,
// for more hostile connections in the same time.
const (
	handshakeTimeout = 5 * time.Second
	assemblyTimeout  = 5 * time.Second
	writeTimeout     = 3 * time.Second
	closeTimeout     = 3 * time.Second
	pingInterval     = 10 * time.Second
	pongTimeout      = 10 * time.Second
)

// newServer returns a server with a path for each style of handlers, and one
// for broadcasts.
func newServer() *server.Server {
	return &server.Server{
		Handlers: map[string]*server.Handler{
			"/events": {Message: respond},
			"/broadcast": {
				Open:    func(c *server.Conn) { listeners.Store(c, true) },
				Message: func(c *server.Conn, op wire.Opcode, p []byte) { _ = server.Broadcast(others(c), op, p) },
				Close:   func(c *server.Conn, _ wire.StatusCode, _ string) { listeners.Delete(c) },
			},
			"/serve": {Serve: func(c *server.Conn) {
				for m, err := range c.Messages(context.Background()) {
					if err != nil {
						return
					}
					respond(c, m.Opcode, m.Payload)
				}
			}},
		},
		HandshakeTimeout: handshakeTimeout,
		AssemblyTimeout:  assemblyTimeout,
		WriteTimeout:     writeTimeout,
		CloseTimeout:     closeTimeout,
		PingInterval:     pingInterval,
		PongTimeout:      pongTimeout,
		MaxBacklog:       256 << 10,
		Limits:           server.Limits{Message: hostile.MessageLimit},
		Log:              func(error) {}, // refusals are frequent
	}
}

// respond handles a message as a victim does.
func respond(c *server.Conn, op wire.Opcode, p []byte) {
	_ = hostile.Victim{
		Send:  c.Send,
		Close: func() error { return c.Close(wire.NormalClosure, "") },
		Ping:  func() error { return c.SendPing([]byte("there?")) },
	}.Respond(op, p)
}

// visit connects to the hostile servers in turn.
func (s *target) visit(ctx context.Context, i int, hostileServers []address, pool *x509.CertPool) {
	cfg := &client.Config{
		TLS:              &tls.Config{RootCAs: pool},
		HandshakeTimeout: handshakeTimeout,
		AssemblyTimeout:  assemblyTimeout,
		WriteTimeout:     writeTimeout,
		CloseTimeout:     closeTimeout,
		Limits:           client.Limits{Message: hostile.MessageLimit},
	}
	for n := i; n == i || sleep(ctx, jitter(2*time.Second)); n++ {
		s.open.Add(1)
		began := time.Now()
		visitOnce(ctx, hostileServers[n%len(hostileServers)].url("/"), cfg)
		s.open.Add(-1)
		s.visits.Add(1)
		if time.Since(began) > 2*patience && ctx.Err() == nil {
			s.unended.Add(1)
		}
	}
}

func visitOnce(ctx context.Context, url string, cfg *client.Config) {
	ctx, cancel := context.WithTimeout(ctx, patience) // for a silent server
	defer cancel()
	c, err := client.Dial(ctx, url, cfg)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for err == nil {
		var m client.Message
		if m, err = c.Receive(ctx); err != nil {
			return
		}
		err = hostile.Victim{
			Send:  c.Send,
			Close: func() error { return c.Close(wire.NormalClosure, "") },
			Ping:  func() error { _, err := c.Ping(ctx); return err },
		}.Respond(m.Opcode, m.Payload)
	}
}

// listeners are the connections to "/broadcast" of all servers.
var listeners sync.Map

// others returns the listeners without c.
func others(c *server.Conn) iter.Seq[*server.Conn] {
	return func(yield func(*server.Conn) bool) {
		listeners.Range(func(other, _ any) bool { return other == c || yield(other.(*server.Conn)) })
	}
}

// stop shuts the servers down.
func (s *target) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, srv := range s.servers {
		if err := srv.Shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}
