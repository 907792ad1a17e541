//go:build !notls

package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The limits of a server under attack. All are different, so that an error
// shows its limit.
var besieged = server.Server{
	HandshakeTimeout: 20 * time.Second,
	AssemblyTimeout:  16 * time.Second,
	WriteTimeout:     12 * time.Second,
	CloseTimeout:     8 * time.Second,
	PingInterval:     24 * time.Second,
	PongTimeout:      20 * time.Second,
	MaxBacklog:       128 << 10,
	Limits:           server.Limits{Message: hostile.MessageLimit},
}

// limits returns a server with the limits of besieged, and its timeouts
// divided.
func limits(divisor time.Duration) *server.Server {
	return &server.Server{
		HandshakeTimeout: besieged.HandshakeTimeout / divisor,
		AssemblyTimeout:  besieged.AssemblyTimeout / divisor,
		WriteTimeout:     besieged.WriteTimeout / divisor,
		CloseTimeout:     besieged.CloseTimeout / divisor,
		PingInterval:     besieged.PingInterval / divisor,
		PongTimeout:      besieged.PongTimeout / divisor,
		MaxBacklog:       besieged.MaxBacklog,
		Limits:           besieged.Limits,
		Compression:      new(permessage.Deflate),
	}
}

// victim sets the handlers that hostile clients meet, in both styles. It calls
// ended with the reason of each connection's end; c is nil if it was refused.
func victim(s *server.Server, ended func(c *server.Conn, err error)) {
	closed := func(c *server.Conn, _ wire.StatusCode, _ string) { ended(c, c.Err()) }
	s.Handlers = map[string]*server.Handler{
		"/events": {Message: comply, Close: closed},
		"/serve": {Close: closed, Serve: func(c *server.Conn) {
			for m, err := range c.Messages(context.Background()) {
				if err != nil {
					return
				}
				comply(c, m.Opcode, m.Payload)
			}
		}},
	}
	s.Log = func(err error) { ended(nil, err) }
}

// comply responds to a message as a victim does.
func comply(c *server.Conn, op wire.Opcode, p []byte) {
	_ = hostile.Victim{
		Send:  c.Send,
		Close: func() error { return c.Close(wire.NormalClosure, "") },
		Ping:  func() error { return c.SendPing([]byte("there?")) },
	}.Respond(op, p)
}

// ending classifies the error of an ended connection.
func ending(err error) (hostile.End, wire.StatusCode) {
	var (
		refused *server.RefusedError
		failed  *server.FailError
		lost    *server.LostError
		closed  *server.CloseError
	)
	switch {
	case errors.As(err, &refused):
		return hostile.Refused, 0
	case errors.As(err, &failed):
		return hostile.Failed, failed.Code
	case errors.As(err, &closed):
		return hostile.Closed, closed.Code
	case errors.As(err, &lost):
		return hostile.Lost, 0
	default:
		return hostile.Left, 0
	}
}

// bound returns the time within which an attack on a server must end.
func bound(a *hostile.Attack, s *server.Server) time.Duration {
	const tick = 2 * time.Second // of the server's clock, and the time of the attack itself
	for option, limit := range map[string]time.Duration{
		"HandshakeTimeout": s.HandshakeTimeout,
		"AssemblyTimeout":  s.AssemblyTimeout + s.AssemblyTimeout/4, // a tick during a read does not count
		"WriteTimeout":     s.WriteTimeout + s.WriteTimeout/4,
		"CloseTimeout":     s.CloseTimeout,
	} {
		if slices.Contains(a.Want.Names, option) {
			return limit + tick
		}
	}
	return tick
}

// littleRoom makes connections with small buffers for output that a client does
// not read. The time until answers fill them depends on the number of
// processors: a later Pong replaces one that is still buffered.
func littleRoom(int) wstest.Plan {
	return wstest.Plan{ToClient: wstest.Faults{Buffer: 2 << 10}}
}

// Each attack ends as its profile expects, within the limit that it exceeds,
// with an error that names it, in both styles of handlers, and leaves no
// goroutine (T-B01, T-B02, T-B06, T-B07, T-B09, T-B11, 7692-7.2.2-d, -f). The
// two forms of TLS share the styles of an attack, unless -crowds is set.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	cert, cfg := certificate(t)
	transports := map[string]func(*testing.T, *server.Server) (raw, dial func() (net.Conn, error)){
		"plain": func(t *testing.T, s *server.Server) (raw, dial func() (net.Conn, error)) {
			ln := wstest.Listen(littleRoom)
			serve(t, s, ln)
			raw = func() (net.Conn, error) { return ln.Dial() }
			return raw, raw
		},
		"ServeTLS": func(t *testing.T, s *server.Server) (raw, dial func() (net.Conn, error)) {
			ln := wstest.Listen(littleRoom)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			serveBy(t, s, ln, func(ln net.Listener) error { return s.ServeTLS(ln, "", "") })
			raw = func() (net.Conn, error) { return ln.Dial() }
			return raw, overRaw(raw, cfg)
		},
		"a listener of crypto/tls": func(t *testing.T, s *server.Server) (raw, dial func() (net.Conn, error)) {
			ln := wstest.Listen(littleRoom)
			serve(t, s, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
			raw = func() (net.Conn, error) { return ln.Dial() }
			return raw, overRaw(raw, cfg)
		},
	}
	styles := []string{"/events", "/serve"}
	first := map[string]int{"ServeTLS": 0, "a listener of crypto/tls": 1} // the style of the first attack
	for transport, start := range transports {
		for i, style := range styles {
			for n, a := range hostile.Against(hostile.Server) {
				if a.BelowTLS && transport == "plain" {
					continue
				}
				if at, secure := first[transport]; secure && !*crowds && i != (at+n)%len(styles) {
					continue
				}
				t.Run(transport+style+"/"+hostile.Profiles[a.Profile-1]+"/"+a.Name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := limits(1)
						ended := make(chan error, 10)
						victim(s, func(_ *server.Conn, err error) { ended <- err })
						raw, dial := start(t, s)
						if a.BelowTLS {
							dial = raw
						}
						nc, err := dial()
						check.Must(t, err)
						attacked(t, s, a, nc, style, ended)
					})
				})
			}
		}
	}
}

// overRaw returns a dialer that adds TLS to the connections of raw.
func overRaw(raw func() (net.Conn, error), cfg *tls.Config) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		nc, err := raw()
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
}

// attacked plays an attack and checks its end.
func attacked(t *testing.T, s *server.Server, a *hostile.Attack, nc net.Conn, target string, ended <-chan error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	over := make(chan struct{})
	go func() {
		defer close(over)
		hostile.Attacker{Victim: hostile.Server, Target: target, Pause: 200 * time.Millisecond, FloodPause: 50 * time.Millisecond}.Play(ctx, nc, a)
	}()
	var err error
	select {
	case err = <-ended:
	case <-time.After(time.Hour):
		t.Fatal("the attack does not end")
	}
	took := time.Since(began)
	end, code := ending(err)
	check.OK(t, a.Want.Check(end, code, err))
	if most := bound(a, s); took > most {
		t.Errorf("the attack took %v, at most %v is right: %v", took, most, err)
	}
	if a.Deaf {
		cancel()
	}
	<-over
	if st := s.Stats(); st.Panics != 0 || st.Opening != 0 || st.Open != 0 || st.Backlog != 0 {
		t.Errorf("after the attack: %+v", st)
	}
	if most := uint64(s.MaxBacklog) + 64<<10; s.Stats().BacklogPeak > most { // control frames are exempt, but limited
		t.Errorf("%d bytes were buffered for one client", s.Stats().BacklogPeak)
	}
}
