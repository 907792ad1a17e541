//go:build !race && !lockcheck

// The race detector makes pools forget, so that memory is measured without it.

package server_test

import (
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A client that pings at line rate and does not read gets no memory for it (T-C01, 6455-5.5.3-b),
// nor does one that sends Pongs nobody asked for (T-C03, T-C04, 6455-5.5.3-c).
func TestFloodsOfControlFramesCostNoMemory(t *testing.T) {
	const frames = 100_000
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, WriteTimeout: 200 * time.Millisecond})
		for name, payload := range map[string]string{
			"Pings":  frame(wire.Ping, strings.Repeat("?", 125)),
			"Pongs":  frame(wire.Pong, strings.Repeat("!", 125)),
			"texts":  text(""), // T-A12, T-H16
			"pieces": fragment(wire.Text, "", false) + fragment(wire.Continuation, "", true),
		} {
			t.Run(name, func(t *testing.T) {
				p := s.open(t)
				chunk := strings.Repeat(payload, 100)
				before, goroutines := usage.Heap(), runtime.NumGoroutine()
				for range frames / 100 {
					if p.trySend(chunk) != nil {
						break // cut, because it does not read
					}
				}
				if grown := usage.Heap() - before; grown > 8<<20 { // the Pings alone are 13 MB
					t.Errorf("the heap has grown by %d bytes", grown)
				}
				if n := runtime.NumGoroutine() - goroutines; n > 5 {
					t.Errorf("%d goroutines more", n)
				}
			})
		}
	})
}

// A header is no reason to provide memory: many clients that announce as much as
// they may and send nothing cost what idle ones cost (T-A06, 6455-5.2-i).
func TestMemoryIsNotSizedByWhatClientsAnnounce(t *testing.T) {
	const clients = 200
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		s := start(t, &server.Server{Handler: rec.handler()})
		peers := make([]*peer, clients)
		for i := range peers {
			peers[i] = s.open(t)
			rec.conn()
		}
		before := usage.Heap()
		for _, p := range peers {
			p.send(frame(wire.Ping, "?"), declaring(wire.Binary, 16<<20, true), "a")
			p.want(`pong "?"`)
		}
		if grown := usage.Heap() - before; grown > clients*16<<10 {
			t.Errorf("%d bytes for each client", grown/clients)
		}
	})
}

// idle is how much a connection may have that nothing comes from, in bytes of heap
// and of stack, by the name of the starter. On the heap are the text of its
// request, here 160 bytes, what package net has of a socket and crypto/tls of a
// connection, but not what the runtime has of a goroutine.
var idle = map[string]memory{
	"goroutines":    {heap: 1400, stack: 2500},
	"system's":      {heap: 1400, stack: 2500}, // but see memory_linux_test.go
	"TLS":           {heap: 8500, stack: 2500},
	"TLS of others": {heap: 8900, stack: 2500},

	// What is no socket is waited for by a read.
	"wrapped":        {heap: 2300, stack: 2500},
	"TLS on wrapped": {heap: 8900, stack: 5000},
	"wrapped TLS":    {heap: 8900, stack: 5000},
}

// A connection that was opened, has had messages and Pings, and is idle, has room for
// nothing that it does not need: no buffer, and no stack but the smallest.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const clients = 500
	for name, start := range withTLS(loops) {
		t.Run(name, func(t *testing.T) {
			s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
			s.open(t) // with the first connection come the goroutines that stay
			goroutines := runtime.NumGoroutine()
			peers := make([]*peer, clients)
			for i := range peers {
				peers[i] = s.open(t)
			}
			for _, p := range peers {
				p.send(text("Hello"), frame(wire.Ping, "?"))
				p.want(`text "Hello"`, `pong "?"`)
			}
			if idle[name].stack >= 2048 { // it has a goroutine, which rests when nothing has come for two seconds
				eventually(t, "all are at rest", func() bool { return goroutinesIn(t, ".(*goroutineSocket).parked") > clients })
			}
			eventually(t, "nothing else is done", func() bool { return runtime.NumGoroutine() <= goroutines+clients })
			with := measure()
			// What remains after their end is the clients' own.
			for c := range s.Conns() {
				c.CloseNow()
			}
			eventually(t, "all have ended", func() bool {
				return s.Stats().Open == 0 && runtime.NumGoroutine() < goroutines+clients/100
			})
			without := measure()
			got := memory{(with.heap - without.heap) / clients, (with.stack - without.stack) / clients}
			if t.Logf("%+v for each", got); got.heap > idle[name].heap || got.stack > idle[name].stack {
				t.Errorf("want at most %+v", idle[name])
			}
			if got.heap <= 0 {
				t.Error("connections that have ended are still in memory") // until a timer fires, say
			}
			runtime.KeepAlive(peers)
		})
	}
}

// goroutinesIn returns how many goroutines have a function on their stack whose name
// ends with name.
func goroutinesIn(t *testing.T, name string) (n int) {
	t.Helper()
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	_, stacks, _ := strings.Cut(profile.String(), "\n") // without the title
	for _, same := range strings.Split(stacks, "\n\n") {
		if strings.Contains(same, name+"+") {
			count, _, _ := strings.Cut(same, " @")
			many, err := strconv.Atoi(count)
			if err != nil {
				t.Fatal(err)
			}
			n += many
		}
	}
	return n
}

// memory is in bytes. That of stacks is not exact: some are kept for others.
type memory struct{ heap, stack int64 }

// measure returns how much there is after all that is not needed has been freed.
func measure() memory {
	runtime.GC() // the first only unlinks what pools have
	m := memory{heap: usage.Heap()}
	stacks := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(stacks)
	m.stack = int64(stacks[0].Value.Uint64())
	return m
}
