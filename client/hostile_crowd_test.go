//go:build !notls

package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"net"
	"runtime"
	"strings"
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
	together := [][]string{{"ws", "wss"}}
	if *crowds {
		together = [][]string{{"ws"}, {"wss"}}
	}
	for _, schemes := range together {
		for i, c := range hostile.Crowds(hostile.Client, schemes[0] == "wss", *crowds) {
			t.Run(strings.Join(schemes, " and ")+"/"+c.Name, func(t *testing.T) {
				good.took.Take()
				before, goroutines, files := usage.Heap(), runtime.NumGoroutine(), usage.Files()
				var dens []*den
				size := 0
				for _, scheme := range schemes {
					d := newDen(t, hostile.Crowds(hostile.Client, scheme == "wss", *crowds)[i].Attacks, scheme, cert)
					dens = append(dens, d)
					size += d.size
				}
				cfg := wary(40)
				if *crowds {
					cfg = wary(20)
				}
				cfg.TLS = &tls.Config{RootCAs: pool}
				began := time.Now()
				most := visitAll(t, dens, cfg)
				took := time.Since(began)
				if grown := most - before; grown > int64(size)*(hostile.MessageLimit+256<<10) {
					t.Errorf("the heap has grown by %d bytes, which is more than the limits allow", grown)
				}
				awaitNoneLeft(t, before, goroutines, files)
				t.Logf("%d attackers: %v, heap %+d KiB", size, took.Round(time.Millisecond), (most-before)>>10)
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
	url     string
	attacks []*hostile.Attack
	size    int // number of clients
	over    context.CancelFunc
	all     sync.WaitGroup
}

func newDen(t *testing.T, attacks []*hostile.Attack, scheme string, cert tls.Certificate) *den {
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	d := &den{
		Listener: ln, url: scheme + "://" + ln.Addr().String() + "/",
		attacks: attacks, size: max(crowd, len(attacks)), over: cancel,
	}
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

// visitAll runs the crowds of clients of all dens, and closes the dens after the
// last client. It returns the largest size of the heap.
func visitAll(t *testing.T, dens []*den, cfg *client.Config) (most int64) {
	problems := make(chan error)
	clients := 0
	for _, d := range dens {
		clients += d.size
		for range d.size {
			go func() { problems <- d.check(visit(t.Context(), d.url, cfg)) }()
		}
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	counts := make(map[string]int)
	for ended := 0; ended < clients; {
		select {
		case problem := <-problems:
			ended++
			if problem != nil {
				counts[problem.Error()]++
			}
		case <-look.C:
			most = max(most, min(usage.Heap(), usage.Heap())) // the smaller: the first may include garbage of a running collection
		}
	}
	for _, d := range dens {
		d.over()
		d.Close()
		d.all.Wait()
	}
	for problem, times := range counts {
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

// innocentConns echo a message every 10 ms.
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
			pace := time.NewTicker(10 * time.Millisecond)
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
