//go:build !race && !lockcheck

// The race detector empties pools at random. Memory is measured without it.

package server_test

import (
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A client that sends Pings at line rate and does not read makes the server
// allocate no memory (T-C01, 6455-5.5.3-b). Neither do unsolicited Pongs
// (T-C03, T-C04, 6455-5.5.3-c).
func TestFloodsOfControlFramesCostNoMemory(t *testing.T) {
	const frames = 100_000
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, WriteTimeout: 200 * time.Millisecond})
		floods := []string{
			frame(wire.Ping, strings.Repeat("?", 125)),
			frame(wire.Pong, strings.Repeat("!", 125)),
			text(""), // T-A12, T-H16
			fragment(wire.Text, "", false) + fragment(wire.Continuation, "", true),
		}
		peers := make([]*peer, len(floods))
		for i := range peers {
			peers[i] = s.open(t)
		}
		before, goroutines := usage.Heap(), runtime.NumGoroutine()
		var all sync.WaitGroup
		for i, flood := range floods {
			all.Go(func() {
				chunk := strings.Repeat(flood, 100)
				for range frames / 100 {
					if peers[i].trySend(chunk) != nil {
						break // aborted, because it does not read
					}
				}
			})
		}
		all.Wait()
		if grown := usage.Heap() - before; grown > 8<<20 { // the Pings alone are 13 MB
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		if n := runtime.NumGoroutine() - goroutines; n > 5*len(floods) {
			t.Errorf("%d goroutines more", n)
		}
	})
}

// A header allocates no memory: clients that declare the largest frame and send
// no payload cost as much as idle ones (T-A06, 6455-5.2-i).
func TestMemoryIsNotSizedByWhatClientsAnnounce(t *testing.T) {
	const clients = 200
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
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

// idle is the limit for an idle connection, in bytes of heap and of stack, by
// the name of the starter. The heap contains the text of its request, here 160
// bytes, the connection of package net and the state of crypto/tls, but not the
// goroutines of the runtime.
var idle = map[string]memory{
	"goroutines":        {heap: 1400, stack: 2500},
	"system's":          {heap: 1400, stack: 2500}, // but see memory_linux_test.go
	"TLS":               {heap: 8500, stack: 2500},
	"TLS of others":     {heap: 8900, stack: 2500},
	"TLS by goroutines": {heap: 8500, stack: 2500},

	// A connection that is no socket is blocked in a Read.
	"wrapped":        {heap: 2300, stack: 2500},
	"TLS on wrapped": {heap: 8900, stack: 5000},
	"wrapped TLS":    {heap: 8900, stack: 5000},
}

// A connection that was opened, has exchanged messages and Pings, and is idle,
// has no buffer and the smallest stack.
func TestIdleConnectionsAreSmall(t *testing.T) {
	testIdleConnections(t, withTLS(loops), "Hello", nil, 0)
}

// Until the first compressed message, a connection with compression has only
// the text of its offer in addition (T-B10).
func TestIdleConnectionsWithCompressionAreSmall(t *testing.T) {
	testIdleConnections(t, loops, "Hello", new(permessage.Deflate), 256, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
}

// testIdleConnections holds idle connections, opened with further header lines,
// that have echoed a message against the limits of idle with more bytes of heap.
func testIdleConnections(t *testing.T, loops map[string]starter, message string, compression server.Compression, more int64, lines ...string) {
	for name, start := range loops {
		t.Run(name, func(t *testing.T) {
			clients := 250                     // a span of stacks that the runtime keeps is 130 bytes for each
			if strings.Contains(name, "TLS") { // takes its time, and more memory
				clients = 150
			}
			defer smallStacks()()
			s := start(t, &server.Server{Handler: server.Handler{Message: echo}, PingInterval: time.Hour, Compression: compression})
			first := make([]*peer, runtime.GOMAXPROCS(0)) // one for each poller; they start the goroutines that stay
			for i := range first {
				first[i] = s.openAs(t, "/", lines...)
			}
			eventually(t, "all are open", func() bool { return s.Stats().Open == int64(len(first)) })
			stays := make(map[*server.Conn]bool)
			for c := range s.Conns() {
				stays[c] = true
			}
			goroutines := runtime.NumGoroutine()
			peers := make([]*peer, clients)
			for i := range peers {
				peers[i] = s.openAs(t, "/", lines...)
			}
			for _, p := range peers {
				go p.trySend(text(message), frame(wire.Ping, "?"))
				p.want("text "+brief([]byte(message)), `pong "?"`)
			}
			most := goroutines
			if idle[name].stack >= 2048 { // it has a goroutine, which parks after two seconds without input
				most += clients
				eventually(t, "all goroutines parked", func() bool { return goroutinesIn(t, ".(*goroutineSocket).parked") == clients+len(first) })
			}
			eventually(t, "no other goroutine", func() bool { return runtime.NumGoroutine() <= most })
			with := measure()
			// The memory that remains after the end of the connections belongs
			// to the clients.
			for c := range s.Conns() {
				if !stays[c] {
					c.CloseNow()
				}
			}
			eventually(t, "all connections ended", func() bool {
				return s.Stats().Open == int64(len(first)) && runtime.NumGoroutine() < goroutines+clients/100
			})
			// A timer, for example, may keep them.
			limit := memory{idle[name].heap + more, idle[name].stack}
			var got memory
			for range 10 {
				eventually(t, "the memory of the connections freed", func() bool {
					without := measure()
					got = memory{(with.heap - without.heap) / int64(clients), (with.stack - without.stack) / int64(clients)}
					return got.heap > 0
				})
				if got.heap <= limit.heap && got.stack <= limit.stack {
					break
				}
				// On a slow machine a hand-off may have replaced a leader. Its
				// successor gets the same buffers with the first message.
				for _, p := range first {
					p.send(text(message))
					p.want("text " + brief([]byte(message)))
				}
			}
			if t.Logf("%+v for each", got); got.heap > limit.heap || got.stack > limit.stack {
				t.Errorf("want at most %+v", limit)
			}
			runtime.KeepAlive(peers)
		})
	}
}

// smallStacks starts many goroutines with small stacks, until end is called. The
// runtime gives a new goroutine a stack of the average size, which tests before
// this one have made larger.
func smallStacks() (end func()) {
	var all sync.WaitGroup
	over := make(chan struct{})
	for range 1000 {
		all.Go(func() { <-over })
	}
	runtime.GC()
	return func() {
		close(over)
		all.Wait()
	}
}

// goroutinesIn returns the number of goroutines that have a function on their
// stack whose name ends with name.
func goroutinesIn(t *testing.T, name string) (n int) {
	t.Helper()
	var profile strings.Builder
	check.Must(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	_, stacks, _ := strings.Cut(profile.String(), "\n") // without the title
	for _, same := range strings.Split(stacks, "\n\n") {
		if strings.Contains(same, name+"+") {
			count, _, _ := strings.Cut(same, " @")
			many, err := strconv.Atoi(count)
			check.Must(t, err)
			n += many
		}
	}
	return n
}

// memory is in bytes. The stack is not exact: the runtime keeps some for later
// goroutines.
type memory struct{ heap, stack int64 }

// measure returns the memory in use after collections: the least of three
// results, because a hand-off has buffers for a time.
func measure() memory {
	runtime.GC() // the first only unlinks the contents of pools
	m := memory{heap: min(usage.Heap(), usage.Heap(), usage.Heap())}
	stacks := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(stacks)
	m.stack = int64(stacks[0].Value.Uint64())
	return m
}
