package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/internal/test/usage"
)

// patience exceeds the sum of all limits of the target.
const patience = 30 * time.Second

// load is all peers of the target.
type load struct {
	addresses []address
	secure    *tls.Config // for clients
	cert      tls.Certificate
	all       sync.WaitGroup

	attacks atomic.Uint64 // completed
	unended atomic.Uint64 // attacks that the target did not end in time
	lost    atomic.Uint64 // connections of well-behaved peers that failed

	took usage.Times // echo times of probes

	mu       sync.Mutex     // guards failures
	failures map[string]int // how often each error occurred
}

// kinds are the peers for each thousand connections. They are more than a
// thousand, because some reconnect after a pause. Probes and the target's own
// clients are extra.
var kinds = []struct {
	name     string
	thousand int
	run      func(c *load, ctx context.Context, i int)
}{
	{"echo now and then", 780, (*load).echo},
	{"listen to broadcasts", 100, (*load).listen},
	{"connect, echo and close", 80, (*load).churn},
	{"read pushed messages slowly", 40, (*load).slow},
	{"attack", 250, (*load).attack},
}

const (
	clientsPerThousand = 40
	probes             = 20 // each measures one echo at a time
)

// start starts the peers for n connections, evenly over a time.
func (c *load) start(ctx context.Context, n int, over time.Duration) {
	var clients []func()
	for _, k := range kinds {
		for i := range n * k.thousand / 1000 {
			clients = append(clients, func() { k.run(c, ctx, i) })
		}
	}
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	for i := range probes {
		c.all.Go(func() { c.probe(ctx, i) })
	}
	for _, run := range clients {
		if !sleep(ctx, over/time.Duration(len(clients))) {
			return
		}
		c.all.Go(run)
	}
}

// dial connects a well-behaved client to server i modulo their number.
func (c *load) dial(ctx context.Context, i int, path string) (*client.Conn, error) {
	return client.Dial(ctx, c.addresses[i%len(c.addresses)].url(path), &client.Config{TLS: c.secure, HandshakeTimeout: patience})
}

// stay uses a connection until ctx ends, and reconnects after an error.
func (c *load) stay(ctx context.Context, i int, path string, use func(conn *client.Conn) error) {
	for ctx.Err() == nil {
		conn, err := c.dial(ctx, i, path)
		if err == nil {
			for err == nil && ctx.Err() == nil {
				err = use(conn)
			}
			conn.CloseNow()
		}
		if err != nil && ctx.Err() == nil {
			c.failed(err)
		}
		sleep(ctx, time.Second)
	}
}

// failed counts the failure of a well-behaved peer.
func (c *load) failed(err error) {
	c.lost.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := err.Error(); len(c.failures) < 10 || c.failures[text] > 0 {
		c.failures[text]++
	}
}

// echoOnce sends a random message and compares the echo.
func echoOnce(ctx context.Context, conn *client.Conn, size int) error {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	if err := conn.SendBinary(p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := conn.Receive(ctx)
	if err == nil && !slices.Equal(m.Payload, p) {
		err = errors.New("the echo differs")
	}
	return err
}

// echo sends a message every few seconds. It answers Pings in between.
func (c *load) echo(ctx context.Context, i int) {
	c.stay(ctx, i, styles[i/len(c.addresses)%len(styles)], func(conn *client.Conn) error {
		if err := echoOnce(ctx, conn, 1+rand.IntN(4<<10)); err != nil {
			return err
		}
		pause, cancel := context.WithTimeout(ctx, jitter(4*time.Second))
		defer cancel()
		if m, err := conn.Receive(pause); err == nil {
			return fmt.Errorf("unexpected message of %d bytes", len(m.Payload))
		} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
}

var styles = []string{"/events", "/serve"}

// listen receives broadcasts. One client in a hundred sends one.
func (c *load) listen(ctx context.Context, i int) {
	c.stay(ctx, i, "/broadcast", func(conn *client.Conn) error {
		pause, cancel := context.WithTimeout(ctx, jitter(time.Second))
		defer cancel()
		if i%100 != 0 {
			pause = ctx
		}
		_, err := conn.Receive(pause)
		if errors.Is(err, context.DeadlineExceeded) {
			return conn.SendText("a broadcast")
		}
		return err
	})
}

// churn connects, sends three messages and closes, again and again.
func (c *load) churn(ctx context.Context, i int) {
	for n := i; sleep(ctx, jitter(2*time.Second)); n++ {
		conn, err := c.dial(ctx, n, styles[n/len(c.addresses)%len(styles)])
		for range 3 {
			if err == nil {
				err = echoOnce(ctx, conn, 125)
			}
		}
		if err == nil {
			err = conn.Close(1000, "")
		}
		if err != nil && ctx.Err() == nil {
			c.failed(err)
		}
		if conn != nil {
			conn.CloseNow()
		}
	}
}

// slow requests more than it reads. The server's policy decides the outcome.
func (c *load) slow(ctx context.Context, i int) {
	for n := i; sleep(ctx, jitter(2*time.Second)); n++ {
		at := c.addresses[n%len(c.addresses)]
		conn, err := client.Dial(ctx, at.url(styles[n/len(c.addresses)%len(styles)]), &client.Config{
			TLS: c.secure, HandshakeTimeout: patience,
			DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &slowReader{nc}, err
			}),
		})
		if err != nil {
			continue
		}
		while, cancel := context.WithTimeout(ctx, jitter(20*time.Second))
		err = conn.SendText(hostile.Push)
		for err == nil && sleep(while, 20*time.Millisecond) {
			_, err = conn.Receive(while)
		}
		cancel()
		conn.CloseNow()
	}
}

// slowReader reads at most 2 KiB at a time.
type slowReader struct {
	net.Conn
}

func (l *slowReader) Read(p []byte) (int, error) { return l.Conn.Read(p[:min(len(p), 2<<10)]) }

// attack runs all attacks against all servers.
func (c *load) attack(ctx context.Context, i int) {
	attacks := hostile.Against(hostile.Server)
	for n := 7 * i; sleep(ctx, jitter(2*time.Second)); n++ {
		at, a := c.addresses[n%len(c.addresses)], attacks[n/len(c.addresses)%len(attacks)]
		if a.BelowTLS && !at.TLS {
			continue
		}
		nc, err := net.DialTimeout("tcp", at.Addr, patience)
		if err != nil {
			c.failed(err) // the machine is out of ports or descriptors
			continue
		}
		if at.TLS && !a.BelowTLS {
			nc = tls.Client(nc, c.secure)
		}
		c.play(ctx, nc, a, hostile.Attacker{Victim: hostile.Server, Target: styles[n/len(c.addresses)%len(styles)]})
	}
}

// play runs an attack until its time limit.
func (c *load) play(ctx context.Context, nc net.Conn, a *hostile.Attack, w hostile.Attacker) {
	w.Pause, w.FloodPause = 50*time.Millisecond, 500*time.Millisecond
	limit := patience
	if a.Deaf {
		limit = writeTimeout * 2 // it does not notice the end
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w.Play(ctx, nc, a)
	c.attacks.Add(1)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !a.Deaf {
		c.unended.Add(1)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failures[fmt.Sprintf("not ended: %s, %s", hostile.Profiles[a.Profile-1], a.Name)]++
	}
}

// hostileServer starts a hostile server for the target's clients.
func (c *load) hostileServer(ctx context.Context, secure bool) (address, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return address{}, err
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	attacks := hostile.Against(hostile.Client)
	if !secure {
		attacks = slices.DeleteFunc(attacks, func(a *hostile.Attack) bool { return a.BelowTLS })
	}
	c.all.Go(func() {
		for n := 0; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			a := attacks[n%len(attacks)]
			if secure && !a.BelowTLS {
				nc = tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{c.cert}})
			}
			c.all.Go(func() { c.play(ctx, nc, a, hostile.Attacker{Victim: hostile.Client}) })
		}
	})
	return address{Addr: ln.Addr().String(), TLS: secure}, nil
}

// probe measures an echo every 100 ms.
func (c *load) probe(ctx context.Context, i int) {
	c.stay(ctx, i, styles[i/len(c.addresses)%len(styles)], func(conn *client.Conn) error {
		began := time.Now()
		if err := echoOnce(ctx, conn, 125); err != nil {
			return err
		}
		c.took.Since(began)
		sleep(ctx, 100*time.Millisecond)
		return nil
	})
}

func (c *load) errorCounts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures
}

// trusting returns a client configuration that trusts pool. It resumes no
// sessions, so that each handshake is complete.
func trusting(pool *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: pool} }

// sleep waits for d, and reports whether ctx is still valid.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// jitter returns a random time from d/2 to 3d/2.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
