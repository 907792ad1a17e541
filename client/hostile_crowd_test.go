//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

var crowds = flag.Bool("crowds", false, "hostile servers come in a crowd of each profile, and not of all at once: takes a minute")

// crowd is the number of concurrent connections to hostile servers, at least one
// for each attack.
const crowd = 25

// innocents is the number of connections to a well-behaved server.
const innocents = 20

// A client has many connections at once to hostile servers of every profile.
// The heap stays within the bound that follows from the limits, every
// connection ends with its expected outcome and releases its memory, and
// connections to a well-behaved server continue (T-C13, T-C14, T-C15, T-H11,
// T-G13).
func TestConnectionsToCrowdOfHostileServers(t *testing.T) {
	cert, pool := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	good := newInnocents(t)
	for _, scheme := range []string{"ws", "wss"} {
		for _, c := range hostile.Crowds(hostile.Client, scheme == "wss", *crowds) {
			attacks := c.Attacks
			t.Run(scheme+"/"+c.Name, func(t *testing.T) {
				good.took.Take()
				size := max(crowd, len(attacks))
				before, goroutines, files := usage.Heap(), runtime.NumGoroutine(), usage.Files()
				den := newDen(t, attacks, scheme, cert)
				cfg := wary(40)
				if *crowds {
					cfg = wary(20)
				}
				cfg.TLS = &tls.Config{RootCAs: pool}
				began := time.Now()
				most := den.visited(t, size, scheme, cfg)
				took := time.Since(began)
				if grown := most - before; grown > int64(size)*(hostile.MessageLimit+256<<10) {
					t.Errorf("the heap has grown by %d bytes, which is more than the limits allow", grown)
				}
				awaitNoneLeft(t, before, goroutines, files)
				t.Logf("%d attackers of %d kinds: %v, heap %+d KiB", size, len(attacks), took.Round(time.Millisecond), (most-before)>>10)
				good.log(t)
			})
		}
	}
}

// awaitNoneLeft waits until the numbers of goroutines, descriptors and bytes
// are no larger than before.
func awaitNoneLeft(t *testing.T, bytes int64, goroutines, files int) {
	const patience = 30 * time.Second
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines || usage.Files() > files || usage.Heap()-bytes > 4<<20 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d files and %d bytes are left, %d, %d and %d were there before",
				runtime.NumGoroutine(), usage.Files(), usage.Heap(), goroutines, files, bytes)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// den is a set of listening hostile servers of one profile.
type den struct {
	net.Listener
	attacks []*hostile.Attack
	over    context.CancelFunc
	all     sync.WaitGroup
}

func newDen(t *testing.T, attacks []*hostile.Attack, scheme string, cert tls.Certificate) *den {
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	d := &den{Listener: ln, attacks: attacks, over: cancel}
	d.all.Go(func() {
		for i := 0; ; i++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			a := attacks[i%len(attacks)]
			d.all.Go(func() {
				hostile.Attacker{Victim: hostile.Client, Pause: 10 * time.Millisecond}.Play(ctx, attackerEnd(nc, a, scheme, cert), a)
			})
		}
	})
	return d
}

// visited runs a crowd of clients against the den, and closes the den after the
// last client. It returns the largest size of the heap.
func (d *den) visited(t *testing.T, crowd int, scheme string, cfg *client.Config) (most int64) {
	ends := make(chan error, crowd)
	for range crowd {
		go func() { ends <- visit(t.Context(), scheme+"://"+d.Addr().String()+"/", cfg) }()
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	problems := make(map[string]int)
	for ended := 0; ended < crowd; {
		select {
		case err := <-ends:
			ended++
			if problem := d.check(err); problem != nil {
				problems[problem.Error()]++
			}
		case <-look.C:
			most = max(most, min(usage.Heap(), usage.Heap())) // the smaller: the first may include garbage of a running collection
		}
	}
	d.over()
	d.Close()
	d.all.Wait()
	for problem, times := range problems {
		t.Errorf("%d times: %s", times, problem)
	}
	return most
}

// check returns an error if err is not an expected end of a connection. On a
// busy machine a time limit may end it before the outcome that
// TestHostileServers requires. That is accepted if the error names the limit.
func (d *den) check(err error) (problem error) {
	end, code := ending(err)
	for _, a := range d.attacks {
		if problem = a.Want.Check(end, code, err); problem == nil {
			return nil
		}
	}
	var late *client.TimeoutError
	var unread *client.TimeoutError
	if errors.As(err, &late) || errors.As(err, &unread) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return errors.Join(problem, err)
}

// innocentConns echo without pause.
type innocentConns struct {
	took usage.Times
}

// newInnocents has connections to a server that means well, until the test
// ends.
func newInnocents(t *testing.T) *innocentConns {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	good := new(innocentConns)
	var stopped atomic.Bool
	var all sync.WaitGroup
	for range innocents {
		c, err := client.Dial(t.Context(), "ws://"+ln.Addr().String(), nil)
		check.Must(t, err)
		all.Go(func() {
			defer c.CloseNow()
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for !stopped.Load() {
				<-pace.C
				good.echo(t, c)
			}
		})
	}
	t.Cleanup(func() {
		stopped.Store(true)
		all.Wait()
		check.OK(t, s.Shutdown(context.Background()))
		<-served
	})
	return good
}

func (good *innocentConns) echo(t *testing.T, c *client.Conn) {
	began := time.Now()
	check.OKf(t, c.SendText("Hello"), "an innocent connection cannot send")
	if m, err := c.Receive(context.Background()); err != nil || m.Text() != "Hello" {
		t.Errorf("an innocent connection is answered %q, %v", m.Text(), err)
	}
	good.took.Since(began)
}

// log prints the latencies of the echoes. The test only requires that all
// echoes arrive, within a generous bound.
func (good *innocentConns) log(t *testing.T) {
	n, p50, p99 := good.took.Take()
	t.Logf("%d echoes of others meanwhile: p50 %v, p99 %v", n, p50, p99)
	if p99 > 15*time.Second {
		t.Errorf("others wait for %v", p99)
	}
}
