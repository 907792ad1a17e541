//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// wary returns the configuration of an attacked client: all limits differ, so
// that the duration shows which one has ended a connection. Each is divided by
// divisor.
func wary(divisor time.Duration) *client.Config {
	return &client.Config{
		HandshakeTimeout: 20 * time.Second / divisor,
		AssemblyTimeout:  16 * time.Second / divisor,
		WriteTimeout:     12 * time.Second / divisor,
		CloseTimeout:     8 * time.Second / divisor,
		Limits:           client.Limits{Message: hostile.MessageLimit},
		Compression:      new(permessage.Deflate),
	}
}

// visit is the program that hostile servers meet: it dials, handles messages
// like the victim of package hostile, and returns the error that ended the
// connection. It bounds the wait for a silent server.
func visit(ctx context.Context, url string, cfg *client.Config) error {
	c, err := client.Dial(ctx, url, cfg)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for err == nil {
		var m client.Message
		if m, err = receive(ctx, c, 2*cfg.HandshakeTimeout); err == nil {
			err = comply(ctx, c, m)
		}
	}
	return err
}

func receive(ctx context.Context, c *client.Conn, patience time.Duration) (client.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.Receive(ctx)
}

// comply handles m like the victim of package hostile.
func comply(ctx context.Context, c *client.Conn, m client.Message) error {
	return hostile.Victim{
		Send:  c.Send,
		Close: func() error { return c.Close(wire.NormalClosure, "") },
		Ping:  func() error { _, err := c.Ping(ctx); return err },
	}.Respond(m.Opcode, m.Payload)
}

// ending classifies the error of a dial or the end of a connection.
func ending(err error) (hostile.End, wire.StatusCode) {
	var (
		failed *client.FailError
		lost   *client.LostError
		closed *client.CloseError
	)
	switch {
	case errors.As(err, &failed):
		return hostile.Failed, failed.Code
	case errors.As(err, &closed):
		return hostile.Closed, closed.Code
	case errors.As(err, &lost), errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "CloseTimeout"): // of Close
		return hostile.Lost, 0
	case errors.Is(err, client.ErrClosed):
		return hostile.Left, 0
	default:
		return hostile.Refused, 0 // it was not opened, so there is no typed end
	}
}

// bound returns the longest duration of an attack on a client.
func bound(a *hostile.Attack, cfg *client.Config) time.Duration {
	const slack = 2 * time.Second // the time that an attack needs by itself
	for option, limit := range map[string]time.Duration{
		"HandshakeTimeout": cfg.HandshakeTimeout,
		"AssemblyTimeout":  cfg.AssemblyTimeout,
		"WriteTimeout":     cfg.WriteTimeout + cfg.WriteTimeout/4,
		"CloseTimeout":     cfg.CloseTimeout,
	} {
		if slices.Contains(a.Want.Names, option) {
			return limit + slack
		}
	}
	if a.Want.End == hostile.Closed { // the client waits for the server to close TCP
		return cfg.CloseTimeout + slack
	}
	return slack
}

// Every attack of a server on the client has its expected outcome: within the
// limit that it reaches, with an error that names the limit, and without a
// goroutine left (T-G05, T-G13, T-B04, T-B09).
func TestHostileServers(t *testing.T) {
	cert, pool := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	trust := &tls.Config{
		RootCAs: pool,
		Time:    func() time.Time { return time.Now().Add(later) },
	}
	for _, scheme := range []string{"ws", "wss"} {
		for _, a := range hostile.Against(hostile.Client) {
			if a.BelowTLS && scheme == "ws" {
				continue
			}
			check.Bubble(t, scheme+"/"+hostile.Profiles[a.Profile-1]+"/"+a.Name, func(t *testing.T) {
				// The time until Pongs fill the buffer of a server that
				// does not read depends on the number of processors: some
				// replace others.
				ours, theirs := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Buffer: 512}})
				cfg := wary(1)
				cfg.TLS = trust
				cfg.DialContext = client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil })
				visited(t, a, cfg, scheme, attackerEnd(theirs, a, scheme, cert))
			})
		}
	}
}

// later is the time from the year 2000, where a bubble's clock starts, to
// today.
var later = time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))

// attackerEnd returns the server's end of nc for the attack: TLS or the plain
// transport.
func attackerEnd(nc net.Conn, a *hostile.Attack, scheme string, cert tls.Certificate) net.Conn {
	if scheme == "wss" && !a.BelowTLS {
		return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	return nc
}

// visited plays an attack on a client and checks its end.
func visited(t *testing.T, a *hostile.Attack, cfg *client.Config, scheme string, nc net.Conn) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		breath := 50 * time.Millisecond
		if a.Want.End == hostile.Lost { // a flood that lasts until a time limit
			breath = time.Second
		}
		hostile.Attacker{Victim: hostile.Client, Pause: 200 * time.Millisecond, FloodPause: breath}.Play(ctx, nc, a)
	}()
	began := time.Now()
	err := visit(t.Context(), scheme+"://127.0.0.1/", cfg)
	took := time.Since(began)
	end, code := ending(err)
	check.OK(t, a.Want.Check(end, code, err))
	if most := bound(a, cfg); took > most {
		t.Errorf("it took %v, at most %v are right: %v", took, most, err)
	}
	if a.Deaf {
		cancel()
	}
	<-over
}
