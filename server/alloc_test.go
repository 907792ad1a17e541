//go:build !race && !lockcheck

// The race detector empties pools at random. Allocations are counted without
// it.

package server

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/wire"
)

// openNowhere returns an open connection of s that ends with the test.
func openNowhere(t *testing.T, s *Server) *Conn {
	c := s.connOver(new(nowhere))
	if !c.open(Handshake{}, nil) {
		t.Fatal("not open")
	}
	t.Cleanup(func() { c.lost(net.ErrClosed) })
	return c
}

func masked(op wire.Opcode, p []byte, final bool) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: final, Opcode: op, Masked: true, Key: 0x3d21fa37}, p)
}

// An echo allocates nothing once the pools are filled.
func TestEchoAllocatesNothing(t *testing.T) {
	handlers := map[string]Handler{
		"Message": {Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		"Partial": {
			Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
			Partial: func(c *Conn, op wire.Opcode, p []byte, final bool) { c.Send(op, p) },
		},
	}
	for _, size := range []int{0, 125, 16 << 10} {
		p := bytes.Repeat([]byte("a"), size)
		for name, frames := range map[string][]byte{
			"whole":     masked(wire.Text, p, true),
			"fragments": slices.Concat(masked(wire.Text, p, false), masked(wire.Continuation, p, false), masked(wire.Continuation, p, true)),
			"with Ping": slices.Concat(masked(wire.Ping, nil, true), masked(wire.Binary, p, true)),
		} {
			for style, h := range handlers {
				t.Run(fmt.Sprint(name, " ", size, " ", style), func(t *testing.T) {
					c := openNowhere(t, &Server{Handler: h})
					in := make([]byte, len(frames))
					echo := func() {
						copy(in, frames)
						for b := range slices.Chunk(in, 4<<10) {
							if _, more := c.receive(b); !more {
								t.Fatal(c.Err())
							}
						}
					}
					echo()
					if n := testing.AllocsPerRun(200, echo); n != 0 {
						t.Errorf("%v allocations", n)
					}
				})
			}
		}
	}
}

// An echo by Handler.Serve with a receive buffer allocates nothing.
func TestEchoOfServeAllocatesNothing(t *testing.T) {
	sent := make(chan struct{})
	c := openNowhere(t, &Server{Handler: Handler{Serve: func(c *Conn) {
		var buf []byte
		for {
			op, p, err := c.ReceiveInto(context.Background(), buf[:0])
			if err != nil {
				return
			}
			c.Send(op, p)
			buf = p
			sent <- struct{}{}
		}
	}}})
	frame := masked(wire.Text, bytes.Repeat([]byte("a"), 1000), true)
	in := make([]byte, len(frame))
	echo := func() {
		copy(in, frame)
		c.receive(in)
		<-sent
	}
	for range 3 { // until the buffers are reused
		echo()
	}
	if n := testing.AllocsPerRun(200, echo); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A broadcast is encoded once: it allocates its own size, not that for each
// receiver.
func TestBroadcastIsEncodedOnce(t *testing.T) {
	const receivers, size = 50, 1 << 20
	s := new(Server)
	var conns []*Conn
	for range receivers {
		conns = append(conns, openNowhere(t, s))
	}
	p := make([]byte, size)
	broadcast := func() {
		check.OK(t, s.Broadcast(wire.Binary, p))
		for _, c := range conns {
			c.forceFlush(false)
		}
	}
	broadcast()
	least := uint64(math.MaxUint64) // other goroutines allocate too, and a collection empties the pools
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		broadcast()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if least > 2*size {
		t.Errorf("%d bytes for a message of %d", least, size)
	}
}

// A publication allocates its encoded message, and nothing for each delivery.
func TestPublicationAllocatesItsMessageOnly(t *testing.T) {
	s := new(Server)
	var topics Topics
	c := openNowhere(t, s)
	check.Must(t, topics.Subscribe(c, "all"))
	for range 100 {
		check.Must(t, topics.Subscribe(openNowhere(t, s), "all"))
	}
	m, err := Prepare(wire.Text, []byte("Hello"))
	check.Must(t, err)
	prepare := testing.AllocsPerRun(200, func() { check.OK(t, check.Err(Prepare(wire.Text, []byte("Hello")))) })
	for name, tt := range map[string]struct {
		publish func()
		want    float64
	}{
		"Publish":               {func() { check.OK(t, check.Err(topics.Publish("all", wire.Text, []byte("Hello")))) }, prepare},
		"PublishExcept":         {func() { check.OK(t, check.Err(topics.PublishExcept(c, "all", wire.Text, []byte("Hello")))) }, prepare},
		"PublishPrepared":       {func() { check.Equal(t, topics.PublishPrepared("all", m).Sent, 101, "sent") }, 0},
		"PublishPreparedExcept": {func() { check.Equal(t, topics.PublishPreparedExcept(c, "all", m).Sent, 100, "sent") }, 0},
		"Count":                 {func() { topics.Count("all") }, 0},
		"Subscribed":            {func() { topics.Subscribed(c, "all") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tt.publish()
			if n := testing.AllocsPerRun(200, tt.publish); n != tt.want {
				t.Errorf("%v allocations, want %v", n, tt.want)
			}
		})
	}
}

// A subscription takes about 50 bytes, the first one of a connection about 220.
// A connection without any takes nothing.
func TestSubscriptionsAreSmall(t *testing.T) {
	heap := func() int64 { return min(usage.Heap(), usage.Heap(), usage.Heap()) } // the first only unlinks the contents of pools
	const conns, each = 500, 20
	s := new(Server)
	var all []*Conn
	for range conns {
		all = append(all, openNowhere(t, s))
	}
	names := make([]string, each)
	for i := range names {
		names[i] = fmt.Sprint("topic ", i)
	}
	var topics Topics
	before := heap()
	for _, c := range all {
		check.Must(t, topics.Subscribe(c, names[0]))
	}
	first := heap()
	for _, name := range names[1:] {
		for _, c := range all {
			check.Must(t, topics.Subscribe(c, name))
		}
	}
	last := heap()
	ofFirst, ofOthers := (first-before)/conns, (last-first)/conns/(each-1)
	if t.Logf("%d bytes for the first, %d for each other", ofFirst, ofOthers); ofFirst > 300 || ofOthers > 72 {
		t.Errorf("%d bytes for the first subscription, %d for each other; want at most 300 and 72", ofFirst, ofOthers)
	}
	runtime.KeepAlive(all)
	check.Equal(t, topics.Count(names[0]), conns, "subscribers")
}

// BenchmarkPublish is the time of a publication to many, without that of
// system calls; BenchmarkPublish/Broadcast is the same without topics.
func BenchmarkPublish(b *testing.B) {
	for _, receivers := range []int{1, 10, 1000} {
		s := new(Server)
		var topics Topics
		for range receivers {
			c := s.connOver(new(nowhere))
			if !c.open(Handshake{}, nil) || topics.Subscribe(c, "all") != nil {
				b.Fatal("not open")
			}
			defer c.lost(net.ErrClosed)
		}
		m, err := Prepare(wire.Text, []byte("Hello"))
		check.Must(b, err)
		b.Run(fmt.Sprint("Topics/", receivers), func(b *testing.B) {
			for b.Loop() {
				topics.PublishPrepared("all", m)
			}
		})
		b.Run(fmt.Sprint("Broadcast/", receivers), func(b *testing.B) {
			for b.Loop() {
				s.BroadcastPrepared(m)
			}
		})
		b.Run(fmt.Sprint("parallel/", receivers), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					topics.PublishPrepared("all", m)
				}
			})
		})
	}
}

// An upgrade allocates the Conn, the text of the request, the request, its
// fields, and the extensions that a browser offers. The end of the connection
// allocates three more times.
func TestAllocationsPerUpgrade(t *testing.T) {
	s := new(Server)
	out := new(nowhere)
	keep := s.connOver(out)
	defer keep.lost(net.ErrClosed)
	for name, most := range map[string]float64{"minimal": 4 + 3, "browser": 5 + 3} {
		request := upgradeRequests[name]
		in := make([]byte, len(request))
		got := testing.AllocsPerRun(100, func() {
			c := s.connOver(out)
			copy(in, request)
			c.receive(in)
			if !c.isOpen() {
				t.Fatal("refused")
			}
			c.lost(net.ErrClosed)
		})
		if got > most {
			t.Errorf("%s: %v allocations, want %v", name, got, most)
		}
	}
}

func TestStatsAllocateNothing(t *testing.T) {
	s := new(Server)
	openNowhere(t, s)
	if n := testing.AllocsPerRun(100, func() { s.Stats() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkUpgrade measures a connection from the first byte of the request to
// the 101 response and its end.
func BenchmarkUpgrade(b *testing.B) {
	for name, request := range upgradeRequests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := new(Server)
			out := new(nowhere)
			keep := s.connOver(out) // keeps the sweeper running
			defer keep.lost(nil)
			in := make([]byte, len(request))
			for b.Loop() {
				c := s.connOver(out)
				copy(in, request)
				c.receive(in)
				if !c.isOpen() {
					b.Fatal("refused")
				}
				c.lost(nil)
			}
		})
	}
}

// BenchmarkEcho measures a message through the whole server, without the
// kernel.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			s := &Server{Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
			c := s.connOver(new(nowhere))
			defer c.lost(nil)
			if !c.open(Handshake{}, nil) {
				b.Fatal("not open")
			}
			// The masking key is zero, so that the frame can be received again.
			// The work is the same as with other keys.
			h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true}
			frame := slices.Clip(wire.AppendFrame(nil, h, []byte(strings.Repeat("a", size))))
			for b.Loop() {
				c.receive(frame)
			}
		})
	}
}

// BenchmarkEchoOfSixteen measures sixteen messages that are read together, per
// message.
func BenchmarkEchoOfSixteen(b *testing.B) {
	const messages = 16
	s := &Server{Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	c := s.connOver(new(nowhere))
	defer c.lost(nil)
	if !c.open(Handshake{}, nil) {
		b.Fatal("not open")
	}
	h := wire.Header{Fin: true, Opcode: wire.Binary, Masked: true} // the key is zero: see BenchmarkEcho
	frames := bytes.Repeat(wire.AppendFrame(nil, h, make([]byte, 125)), messages)
	loop, batch := (*loopConn)(c), endpoint.NewCork(corkSize)
	for b.Loop() {
		loop.BeginBatch(batch)
		loop.Received(frames)
		loop.EndBatch()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
}

// BenchmarkSweep measures a tick of the sweeper for one connection with every
// timeout set, none of which expires.
func BenchmarkSweep(b *testing.B) {
	for _, conns := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			s := &Server{IdleTimeout: time.Hour, MaxLifetime: 24 * time.Hour}
			all := make([]*Conn, conns)
			for i := range all {
				all[i] = s.connOver(new(nowhere))
				all[i].open(Handshake{}, nil)
			}
			rand.Shuffle(conns, func(i, j int) { // the order after many additions and removals
				s.conns[i], s.conns[j] = s.conns[j], s.conns[i]
				s.conns[i].place, s.conns[j].place = int32(i), int32(j)
			})
			sweep := &sweep{Server: s, schedule: s.schedule(), stop: s.sweeperDone}
			for b.Loop() {
				sweep.run(s.clock.now())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(conns), "ns/conn")
			b.StopTimer()
			for _, c := range all {
				c.lost(net.ErrClosed)
			}
		})
	}
}
