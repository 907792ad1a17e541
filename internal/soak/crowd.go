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
	"github.com/fibersock/fibersock/internal/hostile"
	"github.com/fibersock/fibersock/internal/usage"
)

// patience is longer than every limit of the subject together.
const patience = 30 * time.Second

// crowd is everybody whom the subject has to do with.
type crowd struct {
	targets []target
	secure  *tls.Config // of clients
	cert    tls.Certificate
	all     sync.WaitGroup

	attacks atomic.Uint64 // that have ended
	endless atomic.Uint64 // that the subject did not end in time
	unlucky atomic.Uint64 // connections of peers that mean well, which were lost or got a wrong answer

	took usage.Times // by innocents, for an echo

	mu      sync.Mutex     // guards trouble
	trouble map[string]int // what the unlucky were told, and how often
}

// kinds are the peers for each thousand connections, besides the innocents that are
// measured, and the visitors, which are the subject's. They are more than a
// thousand, because those who come and go are not always there.
var kinds = []struct {
	name     string
	thousand int
	be       func(c *crowd, ctx context.Context, i int)
}{
	{"echo now and then", 780, (*crowd).echo},
	{"listen to broadcasts", 100, (*crowd).listen},
	{"come and go", 80, (*crowd).churn},
	{"read slowly what they are pushed", 40, (*crowd).slow},
	{"attack", 250, (*crowd).attack},
}

const (
	visitorsPerThousand = 40
	innocents           = 20 // of whom one is measured at a time
)

// arrive lets the peers for n connections come, one after the other.
func (c *crowd) arrive(ctx context.Context, n int, over time.Duration) {
	var clients []func()
	for _, k := range kinds {
		for i := range n * k.thousand / 1000 {
			clients = append(clients, func() { k.be(c, ctx, i) })
		}
	}
	rand.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	for i := range innocents {
		c.all.Go(func() { c.innocent(ctx, i) })
	}
	for _, be := range clients {
		if !sleep(ctx, over/time.Duration(len(clients))) {
			return
		}
		c.all.Go(be)
	}
}

// dial connects one that means well to the i-th server, in turn.
func (c *crowd) dial(ctx context.Context, i int, path string) (*client.Conn, error) {
	return client.Dial(ctx, c.targets[i%len(c.targets)].url(path), &client.Config{TLS: c.secure, HandshakeTimeout: patience})
}

// stay keeps a connection until ctx ends, and makes it anew if it is lost.
func (c *crowd) stay(ctx context.Context, i int, path string, use func(conn *client.Conn) error) {
	for ctx.Err() == nil {
		conn, err := c.dial(ctx, i, path)
		if err == nil {
			for err == nil && ctx.Err() == nil {
				err = use(conn)
			}
			conn.CloseNow()
		}
		if err != nil && ctx.Err() == nil {
			c.lost(err)
		}
		sleep(ctx, time.Second)
	}
}

// lost notes that one that meant well was unlucky.
func (c *crowd) lost(err error) {
	c.unlucky.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := err.Error(); len(c.trouble) < 10 || c.trouble[text] > 0 {
		c.trouble[text]++
	}
}

// say sends something and compares what comes back.
func say(ctx context.Context, conn *client.Conn, size int) error {
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
		err = errors.New("the echo is another")
	}
	return err
}

// echo says something every few seconds, and answers Pings meanwhile.
func (c *crowd) echo(ctx context.Context, i int) {
	c.stay(ctx, i, styles[i/len(c.targets)%len(styles)], func(conn *client.Conn) error {
		if err := say(ctx, conn, 1+rand.IntN(4<<10)); err != nil {
			return err
		}
		pause, cancel := context.WithTimeout(ctx, jitter(4*time.Second))
		defer cancel()
		if m, err := conn.Receive(pause); err == nil {
			return fmt.Errorf("%d bytes came unasked", len(m.Payload))
		} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
}

var styles = []string{"/events", "/serve"}

// listen takes what is broadcast; one in a hundred broadcasts.
func (c *crowd) listen(ctx context.Context, i int) {
	c.stay(ctx, i, "/news", func(conn *client.Conn) error {
		pause, cancel := context.WithTimeout(ctx, jitter(time.Second))
		defer cancel()
		if i%100 != 0 {
			pause = ctx
		}
		_, err := conn.Receive(pause)
		if errors.Is(err, context.DeadlineExceeded) {
			return conn.SendText("hear, hear")
		}
		return err
	})
}

// churn comes, talks a little and goes.
func (c *crowd) churn(ctx context.Context, i int) {
	for n := i; sleep(ctx, jitter(2*time.Second)); n++ {
		conn, err := c.dial(ctx, n, styles[n/len(c.targets)%len(styles)])
		for range 3 {
			if err == nil {
				err = say(ctx, conn, 125)
			}
		}
		if err == nil {
			err = conn.Close(1000, "")
		}
		if err != nil && ctx.Err() == nil {
			c.lost(err)
		}
		if conn != nil {
			conn.CloseNow()
		}
	}
}

// slow asks for more than it can take. How that ends is the server's to say.
func (c *crowd) slow(ctx context.Context, i int) {
	for n := i; sleep(ctx, jitter(2*time.Second)); n++ {
		at := c.targets[n%len(c.targets)]
		conn, err := client.Dial(ctx, at.url(styles[n/len(c.targets)%len(styles)]), &client.Config{
			TLS: c.secure, HandshakeTimeout: patience,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &lazy{nc}, err
			},
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

// lazy reads little at a time.
type lazy struct {
	net.Conn
}

func (l *lazy) Read(p []byte) (int, error) { return l.Conn.Read(p[:min(len(p), 2<<10)]) }

// attack attacks the servers, one after the other, in all ways.
func (c *crowd) attack(ctx context.Context, i int) {
	attacks := hostile.Against(hostile.Server)
	for n := 7 * i; sleep(ctx, jitter(2*time.Second)); n++ {
		at, a := c.targets[n%len(c.targets)], attacks[n/len(c.targets)%len(attacks)]
		if a.BelowTLS && !at.TLS {
			continue
		}
		nc, err := net.DialTimeout("tcp", at.Addr, patience)
		if err != nil {
			c.lost(err) // it is the machine's fault
			continue
		}
		if at.TLS && !a.BelowTLS {
			nc = tls.Client(nc, c.secure)
		}
		c.play(ctx, nc, a, hostile.Attacker{Victim: hostile.Server, Target: styles[n/len(c.targets)%len(styles)]})
	}
}

// play plays an attack for as long as it may take.
func (c *crowd) play(ctx context.Context, nc net.Conn, a *hostile.Attack, w hostile.Attacker) {
	w.Pause, w.Breath = 50*time.Millisecond, 500*time.Millisecond
	limit := patience
	if a.Deaf {
		limit = writeTimeout * 2 // it would not see the end
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w.Play(ctx, nc, a)
	c.attacks.Add(1)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !a.Deaf {
		c.endless.Add(1)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.trouble[fmt.Sprintf("not ended: %s, %s", hostile.Profiles[a.Profile-1], a.Name)]++
	}
}

// den has hostile servers listen for the subject's clients.
func (c *crowd) den(ctx context.Context, secure bool) (target, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return target{}, err
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
	return target{Addr: ln.Addr().String(), TLS: secure}, nil
}

// innocent echoes ten times a second, and measures.
func (c *crowd) innocent(ctx context.Context, i int) {
	c.stay(ctx, i, styles[i/len(c.targets)%len(styles)], func(conn *client.Conn) error {
		began := time.Now()
		if err := say(ctx, conn, 125); err != nil {
			return err
		}
		c.took.Since(began)
		sleep(ctx, 100*time.Millisecond)
		return nil
	})
}

func (c *crowd) troubles() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble
}

// trusting returns the configuration of a client that trusts pool. Sessions are not
// resumed, so that each handshake is a whole one.
func trusting(pool *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: pool} }

// sleep waits, and reports whether ctx has not ended.
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

// jitter returns a time between half of d and one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
