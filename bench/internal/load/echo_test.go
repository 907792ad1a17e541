package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// shells calls f with each shell; without epoll here both are the same.
func shells(t *testing.T, f func(t *testing.T, goroutines bool)) {
	t.Run("epoll", func(t *testing.T) { f(t, false) })
	t.Run("goroutines", func(t *testing.T) { f(t, true) })
}

// measured runs a load, and again for longer if a slow machine has measured
// nothing in c.Duration.
func measured(t *testing.T, s *server, c Config, load func(context.Context, Config) (*Result, error)) *Result {
	t.Helper()
	for ; ; c.Duration *= 4 {
		s.messages.Store(0)
		r, err := load(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if r.Messages > 0 || c.Duration > time.Minute {
			return r
		}
	}
}

func pattern(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestEveryReplyOfARightServerIsRight(t *testing.T) {
	tests := []struct {
		name   string
		config Config
	}{
		{"no payload", Config{}},
		{"one byte", Config{Payload: pattern(1)}},
		{"125 bytes", Config{Payload: pattern(125), Conns: 10}},
		{"126 bytes", Config{Payload: pattern(126), Conns: 3, InFlight: 16}},
		{"65535 bytes", Config{Payload: pattern(65535), Conns: 2, InFlight: 3}},
		{"65536 bytes", Config{Payload: pattern(65536), VerifyEvery: 3}},
		{"1 MiB, four in flight", Config{Payload: pattern(1 << 20), InFlight: 4, VerifyEvery: 5}},
		{"300 in flight", Config{Payload: pattern(2000), InFlight: 300}},
		{"200 connections", Config{Payload: pattern(32), Conns: 200, InFlight: 2}},
		{"text", Config{Payload: Text(1000), Opcode: wire.Text, Conns: 2, VerifyEvery: 1}},
		{"text without a place for the stamp", Config{Payload: []byte("日本語"), Opcode: wire.Text, VerifyEvery: 2}},
		{"fragments", Config{Payload: pattern(1000), Fragments: 7, InFlight: 2}},
		{"more fragments than bytes", Config{Payload: pattern(2), Fragments: 4}},
		{"compressed", Config{Payload: Text(3000), Opcode: wire.Text, Deflate: true, InFlight: 4, VerifyEvery: 2}},
		{"different texts", Config{Payloads: texts(3, 200), Opcode: wire.Text, VerifyEvery: 1}},
		{"with takeover", Config{Payloads: texts(7, 3000), Opcode: wire.Text, Takeover: true, InFlight: 4, VerifyEvery: 1}},
		{"with takeover, few verified", Config{Payloads: texts(65, 1000), Opcode: wire.Text, Takeover: true, VerifyEvery: 64}},
		{"with takeover, longer than the window", Config{Payload: Text(40_000), Opcode: wire.Text, Takeover: true, VerifyEvery: 1, reach: 4096}},
		{"compressed fragments", Config{Payload: pattern(100), Deflate: true, Fragments: 3, VerifyEvery: 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				c := test.config
				c.goroutines = goroutines
				checkEcho(t, new(server), c)
			})
		})
	}
}

// checkEcho runs c against s and compares the result with the counters of s.
func checkEcho(t *testing.T, s *server, c Config) {
	t.Helper()
	var hooks []string
	c.Addr = s.serve(t, nil)
	if len(c.Payloads) > 0 {
		c.Payload = c.Payloads[0]
	}
	c.Warmup, c.Duration = 10*time.Millisecond, 40*time.Millisecond
	c.Start = func() { hooks = append(hooks, "start") }
	c.Stop = func() { hooks = append(hooks, "stop") }
	r, err := Echo(t.Context(), c)
	for ; err == nil && r.Messages == 0 && c.Duration < time.Minute; c.Duration *= 4 { // on a slow machine
		hooks = nil
		s.messages.Store(0)
		r, err = Echo(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := s.messages.Load()
	first := int64(max(c.Conns, 1) * max(c.InFlight, 1))
	switch {
	case fmt.Sprint(hooks) != "[start stop]":
		t.Errorf("hooks called: %v", hooks)
	case r.Messages == 0 || r.Messages > all:
		t.Errorf("%d messages counted, the server echoed %d", r.Messages, all)
	case r.Bytes != r.Messages*int64(len(c.Payload)):
		t.Errorf("%d bytes in %d messages", r.Bytes, r.Messages)
	case r.Latency.Count() > r.Messages || r.Latency.Count() == 0 && r.Messages > first:
		t.Errorf("%d latencies of %d messages", r.Latency.Count(), r.Messages)
	case r.Elapsed < 40*time.Millisecond:
		t.Errorf("elapsed %v", r.Elapsed)
	case c.VerifyEvery == 1 && r.Verified != all:
		t.Errorf("%d verified of %d", r.Verified, all)
	case r.Verified == 0:
		t.Error("none verified")
	case r.Abrupt != 0:
		t.Errorf("%d ended without Close", r.Abrupt)
	}
}

// RFC 6455, Section 5.4: the fragments of the reply may differ from those of
// the message.
func TestRepliesInAnyFragmentsAndPieces(t *testing.T) {
	pieces := &server{reply: func(c *serverConn, m message) bool {
		p := m.payload
		c.frame(m.first&^finBit, p[:1])
		c.frame(0, nil)
		c.frame(0, p[1:len(p)/2])
		last := append(appendHeader(nil, finBit, len(p)-len(p)/2), p[len(p)/2:]...)
		for i := range last[:5] {
			c.Write(last[i : i+1])
		}
		c.Write(last[5:])
		return true
	}}
	for _, size := range []int{20, 200, 40_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				checkEcho(t, pieces, Config{Payload: pattern(size), VerifyEvery: 3, InFlight: 2, goroutines: goroutines})
			})
		})
	}
}

func TestFragmentsReachTheServer(t *testing.T) {
	s := new(server)
	var once sync.Once
	s.reply = func(c *serverConn, m message) bool {
		once.Do(func() {
			if !c.fragmented {
				t.Error("the message came in one frame")
			}
		})
		c.frame(m.first, m.payload)
		return true
	}
	checkEcho(t, s, Config{Payload: pattern(100), Fragments: 2})
}

// A server may send messages uncompressed (RFC 7692, Section 6).
func TestUncompressedRepliesToCompressedMessages(t *testing.T) {
	s := &server{reply: func(c *serverConn, m message) bool {
		c.frame(m.first&^rsv1Bit, m.payload)
		return true
	}}
	checkEcho(t, s, Config{Payload: pattern(50), Deflate: true})
}

func TestEchoOverTLS(t *testing.T) {
	forServer, forClient := selfSigned(t)
	s := new(server)
	r := measured(t, s, Config{
		Addr: s.serve(t, forServer), TLS: forClient, Conns: 4, InFlight: 3, Payload: pattern(20_000), Duration: 30 * time.Millisecond, VerifyEvery: 2,
	}, Echo)
	if r.Messages == 0 {
		t.Fatal(r)
	}
}

// A message at which the handler sleeps is neither counted nor timed, and the
// other connections go on meanwhile.
func TestBlockingConnectionsAreLeftOut(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		var enough sync.Once
		awake := make(chan struct{})
		s := new(server)
		s.reply = func(c *serverConn, m message) bool {
			if len(m.payload) == 33 && m.payload[0] == 'B' {
				<-awake
			} else if m.n == 5 {
				enough.Do(func() { close(awake) })
			}
			c.frame(m.first, m.payload)
			return true
		}
		defer enough.Do(func() { close(awake) })
		r, err := Echo(t.Context(), Config{
			Addr: s.serve(t, nil), Conns: 20, Payload: pattern(33), Blocking: 0.1, Duration: 500 * time.Millisecond, goroutines: goroutines,
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Blocked == 0 || r.Latency.Count() > r.Messages || r.Bytes != 33*r.Messages {
			t.Errorf("%+v", r)
		}
	})
}

// RFC 6455, Section 7.1.1: a server that ends TCP without Close is reported,
// not failed.
func TestEndWithoutCloseIsCounted(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		s := &server{onClose: func(*serverConn, []byte) bool { return false }}
		r, err := Echo(t.Context(), Config{Addr: s.serve(t, nil), Conns: 3, Duration: 10 * time.Millisecond, goroutines: goroutines})
		if err != nil || r.Abrupt != 3 {
			t.Fatal(r, err)
		}
	})
}

func TestCancelEndsTheRun(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		s := &server{reply: func(c *serverConn, m message) bool {
			if m.n == 3 {
				cancel(cause)
			}
			c.frame(m.first, m.payload)
			return true
		}}
		_, err := Echo(ctx, Config{Addr: s.serve(t, nil), Duration: time.Hour, goroutines: goroutines})
		if !errors.Is(err, cause) {
			t.Fatal(err)
		}
	})
}

func TestConfigThatCannotBeRun(t *testing.T) {
	for _, c := range []Config{{Conns: -1}, {InFlight: -1}, {Fragments: -1}, {Opcode: 9}, {Addr: "nonsense"}} {
		if _, err := Echo(t.Context(), c); err == nil {
			t.Errorf("no error for %+v", c)
		}
	}
	if _, err := Broadcast(t.Context(), Config{Opcode: wire.Text, Payload: []byte("日本")}); err != errStamp {
		t.Error(err)
	}
}

func TestRefusedConnection(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		var gone string
		t.Run("a server that has gone", func(t *testing.T) { gone = new(server).serve(t, nil) })
		_, err := Echo(t.Context(), Config{Addr: gone, goroutines: goroutines})
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "expected a TCP connection to "+gone) {
			t.Fatal(err)
		}
	})
}
