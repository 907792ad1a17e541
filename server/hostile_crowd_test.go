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
	if !*crowds { // one form of TLS, and each loop
		delete(starters, "goroutines")
		delete(starters, "a listener of crypto/tls")
	}
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			reports := make(chan report, 10*crowd)
			s := limits(20)
			s.PingInterval, s.PongTimeout = 5*time.Second, 5*time.Second // ends silent clients, not those that wait
			var good *innocentClients
			victim(s, func(c *server.Conn, err error) {
				switch {
				case c == nil:
					reports <- report{err: err}
				case c.Query() != "innocent":
					reports <- report{c.Query(), err}
				case !good.leaving():
					t.Errorf("an innocent client has lost its connection: %v", err)
				}
			})
			r := start(t, s)
			good = newInnocents(t, r)
			size, secure := crowd, strings.Contains(strings.ToUpper(name), "TLS")
			if secure {
				size /= 2 // TLS takes its time
			}
			for _, c := range hostile.Crowds(hostile.Server, secure, *crowds) {
				t.Run(c.Name, func(t *testing.T) {
					good.took.Take()
					attacks := slices.DeleteFunc(slices.Clone(c.Attacks), func(a *hostile.Attack) bool { return a.Probe })
					b := &battle{t: t, running: r, attacks: attacks, size: size, reports: reports, problems: map[string]int{}}
					b.run()
					good.log(t)
				})
			}
			good.stop()
			if n := r.Stats().Panics; n != 0 {
				t.Errorf("%d panics", n)
			}
		})
	}
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
	query string // the number of the attack; "" if the connection was refused
	err   error
}

// battle is a crowd of attackers and the server under attack.
type battle struct {
	*running
	t       *testing.T
	attacks []*hostile.Attack
	size    int // number of attackers
	reports <-chan report

	problems map[string]int // number of occurrences
}

func (b *battle) run() {
	before, goroutines, files := usage.Heap(), runtime.NumGoroutine(), usage.Files()
	began := time.Now()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	var attackers sync.WaitGroup
	for i := range b.size {
		attackers.Go(func() { b.attack(ctx, i) })
	}
	most := b.collect()
	cancel()
	attackers.Wait()
	for problem, times := range b.problems {
		b.t.Errorf("%d times: %s", times, problem)
	}
	took := time.Since(began)

	if grown := most - before; grown > int64(b.size)*(hostile.MessageLimit+int64(besieged.MaxBacklog)) {
		b.t.Errorf("the heap has grown by %d bytes, which is more than the limits allow", grown)
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines || usage.Files() > files || b.Stats().Open > innocents || usage.Heap()-before > 4<<20 {
		if time.Now().After(deadline) {
			b.t.Log(leakcheck.Stacks())
			b.t.Fatalf("%d goroutines, %d files and %d bytes are left, %d, %d and %d were there before; %+v",
				runtime.NumGoroutine(), usage.Files(), usage.Heap(), goroutines, files, before, b.Stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Logf("%d attackers of %d kinds: %v, heap %+d KiB", b.size, len(b.attacks), took.Round(time.Millisecond), (most-before)>>10)
}

// attack plays the i-th attack.
func (b *battle) attack(ctx context.Context, i int) {
	kind := i % len(b.attacks)
	a := b.attacks[kind]
	nc, err := b.dialer()
	if err != nil {
		b.t.Error(err)
		return
	}
	if secure, ok := nc.(*tls.Conn); ok && a.BelowTLS {
		nc = secure.NetConn()
	}
	style := [...]string{"/events", "/serve"}[i/len(b.attacks)%2]
	hostile.Attacker{
		Victim: hostile.Server,
		Target: style + "?" + strconv.Itoa(kind),
		Pause:  10 * time.Millisecond,
	}.Play(ctx, nc, a)
}

// collect waits until all connections of the crowd have ended, and checks each
// end. It returns the maximum size of the heap.
func (b *battle) collect() (most int64) {
	deadline := time.After(patience)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for ended := 0; ended < b.size; {
		select {
		case r := <-b.reports:
			ended++
			b.check(r)
		case <-look.C:
			most = max(most, min(usage.Heap(), usage.Heap())) // less of the garbage made during the collection
		case <-deadline:
			b.t.Errorf("%d of %d connections have ended; %+v", ended, b.size, b.Stats())
			return most
		}
	}
	return most
}

// check records an end that differs from the profile. On a busy machine a
// timeout may expire before the end that TestHostileClients expects. The error
// must name it.
func (b *battle) check(r report) {
	end, code := ending(r.err)
	var problem error
	for i, a := range b.attacks {
		if refused := a.Want.End == hostile.Refused; refused && r.query == "" || r.query == strconv.Itoa(i) {
			if problem = a.Want.Check(end, code, r.err); problem == nil {
				return
			}
		}
	}
	if timedOut(r.err) == "" {
		b.problems["attack "+r.query+": "+errors.Join(problem, r.err).Error()]++
	}
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

// innocentClients send a message every 5 ms and read its echo.
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
	pace := time.NewTicker(5 * time.Millisecond)
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
