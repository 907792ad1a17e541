//go:build !notls

package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/hostile"
	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// innocents is the number of well-behaved clients.
const innocents = 20

// handOffSize is the size, in bytes, of the read buffer and the cork of a
// handler that has run for so long that another goroutine polls.
const handOffSize = 208 << 10

// Hostile clients of every profile at the same time, over sockets, against both
// styles of handlers: the heap stays within the limits, every connection ends
// as its profile expects and leaves no goroutine and no descriptor, and the
// well-behaved clients receive their echoes (T-C09, T-C14, T-C15, T-C16, T-H10,
// T-H11).
func TestCrowdOfHostileClients(t *testing.T) {
	cert, cfg := certificate(t)
	starters := map[string]starter{
		"goroutines": func(t *testing.T, s *server.Server) *running { return serve(t, s, plainListener{listenTCP(t)}) },
		"system's":   func(t *testing.T, s *server.Server) *running { return serve(t, s, listenTCP(t)) },
		"ServeTLS": func(t *testing.T, s *server.Server) *running {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			r := serveBy(t, s, listenTCP(t), func(ln net.Listener) error { return s.ServeTLS(ln, "", "") })
			r.dialer = overRaw(r.dialer, cfg)
			return r
		},
		"a listener of crypto/tls": func(t *testing.T, s *server.Server) *running {
			return serveTLS(t, s, listenTCP(t), cert, cfg)
		},
	}
	together := [][]string{{"system's", "ServeTLS"}} // each loop, and a form of TLS
	if *crowds {
		together = nil
		for name := range starters {
			together = append(together, []string{name})
		}
	}
	for _, names := range together {
		t.Run(strings.Join(names, " and "), func(t *testing.T) {
			b := &battle{reports: make(chan report, 10*crowd)}
			for _, name := range names {
				b.fronts = append(b.fronts, newFront(t, name, starters[name], b.reports))
			}
			for i, c := range b.fronts[0].crowds {
				t.Run(c.Name, func(t *testing.T) {
					for _, f := range b.fronts {
						f.good.took.Take()
						f.attacks = slices.DeleteFunc(slices.Clone(f.crowds[i].Attacks), func(a *hostile.Attack) bool { return a.Probe })
					}
					b.run(t)
					for _, f := range b.fronts {
						f.good.log(t)
					}
				})
			}
			for _, f := range b.fronts {
				f.good.stop()
				if n := f.Stats().Panics; n != 0 {
					t.Errorf("%d panics", n)
				}
			}
		})
	}
}

// newFront starts a server, with the starter of that name, and its well-behaved
// clients.
func newFront(t *testing.T, name string, start starter, reports chan<- report) *front {
	secure := strings.Contains(strings.ToUpper(name), "TLS")
	f := &front{size: crowd, crowds: hostile.Crowds(hostile.Server, secure, *crowds)}
	if secure {
		f.size /= 2 // TLS takes its time
	}
	s := limits(20)
	s.PingInterval, s.PongTimeout = 5*time.Second, 5*time.Second // ends silent clients, not those that wait
	victim(s, func(c *server.Conn, err error) {
		switch {
		case c == nil:
			reports <- report{front: f, err: err}
		case c.Query() != "innocent":
			reports <- report{f, c.Query(), err}
		case !f.good.leaving():
			t.Errorf("an innocent client has lost its connection: %v", err)
		}
	})
	f.running = start(t, s)
	f.good = newInnocents(t, f.running)
	return f
}

// A client that does not read is aborted by one goroutine, for any number of
// messages to it (T-H16).
func TestCuttingASlowClientTakesOneGoroutine(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		more := make(chan int, 1)
		s := start(t, &server.Server{MaxBacklog: 64 << 10, Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			for c.Send(wire.Binary, make([]byte, 32<<10)) == nil {
			}
			before := runtime.NumGoroutine()
			for range 10_000 {
				_ = c.SendText("too much")
			}
			more <- runtime.NumGoroutine() - before
		}}})
		s.open(t).send(text("go"))
		if n := result(t, more); n > 10 {
			t.Errorf("%d goroutines more", n)
		}
	})
}

// report is the reason that the server gives for the end of a connection.
type report struct {
	front *front
	query string // the number of the attack; "" if the connection was refused
	err   error
}

// front is a server under attack.
type front struct {
	*running
	good    *innocentClients
	crowds  []hostile.Crowd
	attacks []*hostile.Attack // of the present crowd
	size    int               // number of attackers
}

// battle is crowds of attackers and the servers that they attack at the same
// time.
type battle struct {
	fronts  []*front
	reports chan report
}

// run attacks each front with its present crowd.
func (b *battle) run(t *testing.T) {
	before, goroutines, files := usage.Heap(), runtime.NumGoroutine(), usage.Files()
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var attackers sync.WaitGroup
	size, kinds := 0, 0
	for _, f := range b.fronts {
		size, kinds = size+f.size, max(kinds, len(f.attacks))
		for i := range f.size {
			attackers.Go(func() { f.attack(ctx, t, i) })
		}
	}
	most := b.collect(t, size)
	cancel()
	attackers.Wait()
	took := time.Since(began)

	limit := int64(size) * (hostile.MessageLimit + int64(besieged.MaxBacklog) + handOffSize)
	if grown := most - before; grown > limit {
		t.Errorf("the heap has grown by %d bytes, the limits allow %d", grown, limit)
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines || usage.Files() > files || b.open() > innocents*len(b.fronts) || usage.Heap()-before > 4<<20 {
		if time.Now().After(deadline) {
			t.Log(leakcheck.Stacks())
			t.Fatalf("%d goroutines, %d files and %d bytes are left, %d, %d and %d were there before; %d connections",
				runtime.NumGoroutine(), usage.Files(), usage.Heap(), goroutines, files, before, b.open())
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d attackers of %d kinds: %v, heap %+d KiB", size, kinds, took.Round(time.Millisecond), (most-before)>>10)
}

// open returns the number of open connections.
func (b *battle) open() (n int) {
	for _, f := range b.fronts {
		n += int(f.Stats().Open)
	}
	return n
}

// attack plays the i-th attack.
func (f *front) attack(ctx context.Context, t *testing.T, i int) {
	kind := i % len(f.attacks)
	a := f.attacks[kind]
	nc, err := f.dialer()
	if err != nil {
		t.Error(err)
		return
	}
	if secure, ok := nc.(*tls.Conn); ok && a.BelowTLS {
		nc = secure.NetConn()
	}
	style := [...]string{"/events", "/serve"}[i/len(f.attacks)%2]
	hostile.Attacker{
		Victim: hostile.Server,
		Target: style + "?" + strconv.Itoa(kind),
		Pause:  10 * time.Millisecond,
	}.Play(ctx, nc, a)
}

// collect waits until so many connections of the crowds have ended, and checks
// each end. It returns the maximum size of the heap.
func (b *battle) collect(t *testing.T, size int) (most int64) {
	problems := make(map[string]int) // number of occurrences
	defer func() {
		for problem, times := range problems {
			t.Errorf("%d times: %s", times, problem)
		}
	}()
	deadline := time.After(patience)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for ended := 0; ended < size; {
		select {
		case r := <-b.reports:
			ended++
			if problem := r.problem(); problem != "" {
				problems[problem]++
			}
		case <-look.C:
			most = max(most, min(usage.Heap(), usage.Heap())) // less of the garbage made during the collection
		case <-deadline:
			t.Errorf("%d of %d connections have ended, %d are open", ended, size, b.open())
			return most
		}
	}
	return most
}

// problem describes an end that differs from the profile, or returns "". On a
// busy machine a timeout may expire before the end that TestHostileClients
// expects. The error must name it.
func (r report) problem() string {
	end, code := ending(r.err)
	var problem error
	for i, a := range r.front.attacks {
		if refused := a.Want.End == hostile.Refused; refused && r.query == "" || r.query == strconv.Itoa(i) {
			if problem = a.Want.Check(end, code, r.err); problem == nil {
				return ""
			}
		}
	}
	if timedOut(r.err) != "" {
		return ""
	}
	return "attack " + r.query + ": " + errors.Join(problem, r.err).Error()
}

// timedOut returns the option of the timeout that has ended a connection, or
// "".
func timedOut(err error) string {
	var timeout *server.TimeoutError
	if errors.As(err, &timeout) {
		return timeout.Option
	}
	return ""
}

// innocentClients send a message every 10 ms and read its echo.
type innocentClients struct {
	stopped chan struct{}
	all     sync.WaitGroup

	took usage.Times
}

// newInnocents starts the well-behaved clients, which run until stop.
func newInnocents(t *testing.T, r *running) *innocentClients {
	good := &innocentClients{stopped: make(chan struct{})}
	for i := range innocents {
		p := r.openAs(t, [...]string{"/events", "/serve"}[i%2]+"?innocent")
		p.send(text("Hello"))
		p.want(`text "Hello"`) // its handler has run, and so its goroutine counts
		check.Must(t, p.nc.SetReadDeadline(time.Time{}))
		good.all.Go(func() { good.echo(t, p) })
	}
	return good
}

func (good *innocentClients) echo(t *testing.T, p *peer) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-good.stopped:
			p.nc.Close()
			return
		case <-pace.C:
		}
		began := time.Now()
		if err := p.trySend(text("Hello")); err != nil {
			t.Errorf("an innocent client cannot send: %v", err)
			return
		}
		var answer [7]byte
		if _, err := io.ReadFull(p.nc, answer[:]); err != nil || string(answer[:]) != "\x81\x05Hello" {
			t.Errorf("an innocent client is answered %q, %v", answer, err)
			return
		}
		good.took.Since(began)
	}
}

// log prints the times of the echoes. The times are no measurement: an echo
// must arrive within 15 s.
func (good *innocentClients) log(t *testing.T) {
	n, p50, p99 := good.took.Take()
	t.Logf("%d echoes of other clients: p50 %v, p99 %v", n, p50, p99)
	if p99 > 15*time.Second {
		t.Errorf("other clients wait for %v", p99)
	}
}

// leaving reports whether stop was called.
func (good *innocentClients) leaving() bool {
	select {
	case <-good.stopped:
		return true
	default:
		return false
	}
}

func (good *innocentClients) stop() {
	close(good.stopped)
	good.all.Wait()
}
