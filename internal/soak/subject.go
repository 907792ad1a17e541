package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/hostile"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// order is what the crowd tells the subject first, in JSON and a line, as are all
// messages between them.
type order struct {
	Identity identity
	Dens     []target // hostile servers
	Visitors int      // clients that visit them
}

// target is where somebody listens.
type target struct {
	Name string
	Addr string
	TLS  bool
}

func (a target) url(path string) string {
	if a.TLS {
		return "wss://" + a.Addr + path
	}
	return "ws://" + a.Addr + path
}

// The commands that follow, each of which is answered by a sample.
const (
	cmdIdle   = "idle" // of before anybody had come
	cmdSample = "sample"
	cmdLeave  = "leave" // no more visits to hostile servers
	cmdStop   = "stop"
)

// subject is the process that is measured.
type subject struct {
	servers  []*server.Server
	visits   atomic.Uint64
	open     atomic.Int64 // visits under way
	peculiar atomic.Uint64
	idle     sample // before anybody has come
	leave    context.CancelFunc
	visitors sync.WaitGroup
}

// runSubject does what the crowd says on in, until it says stop.
func runSubject(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(out)
	var o order
	if !lines.Scan() {
		return fmt.Errorf("no order: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
		return err
	}
	s := new(subject)
	targets, err := s.start(o)
	if err != nil {
		return err
	}
	if err := answers.Encode(targets); err != nil {
		return err
	}
	for lines.Scan() {
		switch lines.Text() {
		case cmdIdle:
			if err := answers.Encode(s.idle); err != nil {
				return err
			}
			continue
		case cmdLeave:
			s.leave()
			s.visitors.Wait()
		case cmdStop:
			return s.stop()
		}
		if err := answers.Encode(s.sample()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// start starts a server for each way in which a connection can be served, and the
// visitors.
func (s *subject) start(o order) (targets []target, err error) {
	cert, pool, err := o.Identity.load()
	if err != nil {
		return nil, err
	}
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
		targets = append(targets, target{Name: way.name, Addr: ln.Addr().String(), TLS: way.tls})
		go func() {
			if err := way.serve(srv, ln); err != server.ErrServerClosed {
				panic(err)
			}
		}()
	}
	if err := greet(targets, pool); err != nil {
		return nil, err
	}
	s.idle = s.sample()
	ctx, leave := context.WithCancel(context.Background())
	s.leave = leave
	for i := range o.Visitors {
		s.visitors.Go(func() { s.visit(ctx, i, o.Dens, pool) })
	}
	return targets, nil
}

// greet connects to each server once, so that all that they need is there.
func greet(targets []target, pool *x509.CertPool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, at := range targets {
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

// The limits of the servers and clients: the usual ones would keep each hostile
// peer for longer, and so let fewer of them come.
const (
	handshakeTimeout = 5 * time.Second
	assemblyTimeout  = 5 * time.Second
	writeTimeout     = 3 * time.Second
	closeTimeout     = 3 * time.Second
	pingInterval     = 10 * time.Second
	pongTimeout      = 10 * time.Second
)

// newServer returns a server with paths for both styles of handlers, of which one
// is for those who only listen.
func newServer() *server.Server {
	return &server.Server{
		Handlers: map[string]*server.Handler{
			"/events": {Message: comply},
			"/news":   {Message: func(c *server.Conn, op wire.Opcode, p []byte) { _ = server.Broadcast(listeners(c), op, p) }, Open: enlist, Close: strike},
			"/serve": {Serve: func(c *server.Conn) {
				for m, err := range c.Messages(context.Background()) {
					if err != nil {
						return
					}
					comply(c, m.Opcode, m.Payload)
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
		Log:              func(error) {}, // what is refused is refused all the time
	}
}

// comply does with a message what a victim does.
func comply(c *server.Conn, op wire.Opcode, p []byte) {
	_ = hostile.Victim{
		Send:  c.Send,
		Close: func() error { return c.Close(wire.NormalClosure, "") },
		Ping:  func() error { return c.SendPing([]byte("there?")) },
	}.Comply(op, p)
}

// visit visits hostile servers, one after the other.
func (s *subject) visit(ctx context.Context, i int, dens []target, pool *x509.CertPool) {
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
		visitOnce(ctx, dens[n%len(dens)].url("/"), cfg)
		s.open.Add(-1)
		s.visits.Add(1)
		if time.Since(began) > 2*patience && ctx.Err() == nil {
			s.peculiar.Add(1)
		}
	}
}

func visitOnce(ctx context.Context, url string, cfg *client.Config) {
	ctx, cancel := context.WithTimeout(ctx, patience) // a client does not wait for ever for a server that is silent
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
		}.Comply(m.Opcode, m.Payload)
	}
}

// stop shuts the servers down.
func (s *subject) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, srv := range s.servers {
		if err := srv.Shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}
