package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// broadcaster sends each message to all.
func broadcaster() *server {
	s := new(server)
	s.reply = func(c *serverConn, m message) bool {
		s.broadcast(m.first, m.payload)
		return true
	}
	return s
}

func TestEachMessageReachesAll(t *testing.T) {
	tests := []struct {
		name   string
		config Config
	}{
		{"one receiver", Config{Payload: pattern(10)}},
		{"fifty receivers", Config{Payload: pattern(300), Conns: 50, VerifyEvery: 1}},
		{"in flight", Config{Payload: pattern(300), Conns: 10, InFlight: 20}},
		{"long", Config{Payload: pattern(100_000), Conns: 4, InFlight: 2}},
		{"text", Config{Payload: Text(100), Opcode: wire.Text, Conns: 3}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				c := test.config
				s := broadcaster()
				c.Addr, c.goroutines = s.serve(t, nil), goroutines
				c.Warmup, c.Duration = 5*time.Millisecond, 50*time.Millisecond
				r := measured(t, s, c, Broadcast)
				most := s.messages.Load() * int64(max(c.Conns, 1))
				if r.Messages == 0 || r.Messages > most || r.Latency.Count() > r.Messages || r.Verified == 0 {
					t.Errorf("%d deliveries, at most %d; %d latencies", r.Messages, most, r.Latency.Count())
				}
			})
		})
	}
}

// Each message reaches the connections of its sender's topic.
func TestEachMessageReachesItsTopic(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		var mu sync.Mutex
		members := make(map[string][]*serverConn)
		of := make(map[*serverConn]string)
		s := new(server)
		s.reply = func(c *serverConn, m message) bool {
			mu.Lock()
			defer mu.Unlock()
			if p := string(m.payload); len(p) == 16 && p[0] == 'T' {
				members[p] = append(members[p], c)
				of[c] = p
				return true
			}
			for _, to := range members[of[c]] {
				to.frame(m.first, m.payload)
			}
			return true
		}
		c := Config{Payload: pattern(10), Conns: 7, Topics: 3, InFlight: 2, Warmup: 5 * time.Millisecond, Duration: 50 * time.Millisecond}
		c.Addr, c.goroutines = s.serve(t, nil), goroutines
		r := measured(t, s, c, Broadcast)
		mu.Lock()
		defer mu.Unlock()
		if r.Messages == 0 || len(members) != 3 || len(of)%7 != 0 {
			t.Errorf("%d deliveries to %d connections of %d topics", r.Messages, len(of), len(members))
		}
	})
	if _, err := Broadcast(t.Context(), Config{Payload: pattern(10), Conns: 2, Topics: 3}); err == nil {
		t.Error("more topics than connections")
	}
}

// A server that adds a connection after its opening handshake may omit earlier
// messages.
func TestReceiversMayJoinLate(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		var sent atomic.Int64
		s := new(server)
		s.reply = func(c *serverConn, m message) bool {
			if sent.Add(1) < 3 {
				c.frame(m.first, m.payload) // only the sender has it
				return true
			}
			s.broadcast(m.first, m.payload)
			return true
		}
		_, err := Broadcast(t.Context(), Config{
			Addr: s.serve(t, nil), Conns: 3, Payload: pattern(10), Duration: 20 * time.Millisecond, goroutines: goroutines,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWrongBroadcastEndsTheRun(t *testing.T) {
	// deliver gets each message, after those in which receivers join, for each
	// connection.
	tests := []struct {
		name    string
		deliver func(c *serverConn, m message, victim bool)
		want    string
	}{
		{"missing", func(c *serverConn, m message, victim bool) {
			if !victim {
				c.frame(m.first, m.payload)
			}
		}, "got nothing for 300ms"},
		{"doubled", func(c *serverConn, m message, victim bool) {
			c.frame(m.first, m.payload)
			if victim {
				c.frame(m.first, m.payload)
			}
		}, "a reply that no message asked for|doubled or out of turn"},
		{"changed", func(c *serverConn, m message, victim bool) {
			p := append([]byte(nil), m.payload...)
			if victim {
				p[7] ^= 1
			}
			c.frame(m.first, p)
		}, "expected byte 7 of"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				s := new(server)
				s.reply = func(c *serverConn, m message) bool {
					s.mu.Lock()
					defer s.mu.Unlock()
					victim := m.n == 20
					for other := range s.conns {
						test.deliver(other, m, victim)
						victim = false
					}
					return true
				}
				_, err := Broadcast(t.Context(), Config{
					Addr: s.serve(t, nil), Conns: 5, Payload: pattern(10), Duration: 2 * time.Second,
					Timeout: timeoutFor(test.want), VerifyEvery: 1, goroutines: goroutines,
				})
				if err == nil || !containsOne(err.Error(), test.want) {
					t.Fatal(err)
				}
			})
		})
	}
}

func containsOne(text, alternatives string) bool {
	for want := range strings.SplitSeq(alternatives, "|") {
		if strings.Contains(text, want) {
			return true
		}
	}
	return false
}

func TestReceiverThatNeverGetsAnything(t *testing.T) {
	s := new(server) // echoes to the sender only
	_, err := Broadcast(t.Context(), Config{Addr: s.serve(t, nil), Conns: 2, Payload: pattern(10), Timeout: silenceTime})
	if err == nil || !strings.Contains(err.Error(), "connection 1, after 0 right replies: expected a binary message of 10 bytes; got nothing for 300ms") {
		t.Fatal(err)
	}
}

func TestChurn(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		s := new(server)
		r := measured(t, s, Config{
			Addr: s.serve(t, nil), Conns: 5, Payload: pattern(20), VerifyEvery: 1,
			Warmup: 5 * time.Millisecond, Duration: 50 * time.Millisecond, goroutines: goroutines,
		}, Churn)
		all := s.messages.Load()
		if r.Messages == 0 || r.Messages > all || r.Verified != all || r.Latency.Count() > r.Messages {
			t.Errorf("%d cycles, %d echoes, %d verified, %d latencies", r.Messages, all, r.Verified, r.Latency.Count())
		}
	})
}

func TestChurnWithSeveralMessagesOfAConnection(t *testing.T) {
	shells(t, func(t *testing.T, goroutines bool) {
		s := new(server)
		r := measured(t, s, Config{
			Addr: s.serve(t, nil), Conns: 5, Payload: []byte("hello"), Opcode: wire.Text, PerConn: 10, VerifyEvery: 1,
			Warmup: 5 * time.Millisecond, Duration: 50 * time.Millisecond, goroutines: goroutines,
		}, Churn)
		all := s.messages.Load()
		if r.Messages == 0 || all%10 != 0 || r.Messages > all/10 || r.Verified != all || r.Bytes != r.Messages*50 {
			t.Errorf("%d cycles of %d bytes, %d echoes, %d verified", r.Messages, r.Bytes, all, r.Verified)
		}
	})
}

func TestChurnOverTLS(t *testing.T) {
	forServer, forClient := selfSigned(t)
	s := new(server)
	r := measured(t, s, Config{Addr: s.serve(t, forServer), TLS: forClient, Duration: 50 * time.Millisecond}, Churn)
	if r.Messages == 0 {
		t.Fatal(r)
	}
}

func TestFaultInAnyLifeEndsTheChurn(t *testing.T) {
	tests := []struct {
		name   string
		server func(n int64) *server // n-th and later are wrong
		want   string
	}{
		{"wrong reply", func(n int64) *server {
			s := new(server)
			s.reply = func(c *serverConn, m message) bool {
				if s.messages.Load() > n {
					m.payload = m.payload[1:]
				}
				c.frame(m.first, m.payload)
				return true
			}
			return s
		}, "got a frame of 19 bytes"},
		{"end of TCP", func(n int64) *server {
			s := new(server)
			s.reply = func(c *serverConn, m message) bool {
				c.frame(m.first, m.payload[:10+10*min(max(n+1-s.messages.Load(), 0), 1)])
				return s.messages.Load() <= n
			}
			return s
		}, "got a frame of 10 bytes"},
		{"no end of TCP", func(n int64) *server {
			s := new(server)
			s.onClose = func(c *serverConn, payload []byte) bool {
				c.frame(finBit|opClose, payload)
				return s.messages.Load() > n
			}
			return s
		}, "expected the end of TCP after Close (RFC 6455, Section 7.1.1); got nothing for 300ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shells(t, func(t *testing.T, goroutines bool) {
				_, err := Churn(t.Context(), Config{
					Addr: test.server(30).serve(t, nil), Conns: 3, Payload: pattern(20),
					Duration: 5 * time.Second, Timeout: timeoutFor(test.want), goroutines: goroutines,
				})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestHeldConnectionsAreIdleAndAlive(t *testing.T) {
	forServer, forClient := selfSigned(t)
	tests := []struct {
		name   string
		tls    bool
		config Config
	}{
		{"plain", false, Config{}},
		{"TLS", true, Config{}},
		{"compression agreed", false, Config{Deflate: true}},
		{"texts with takeover", false, Config{Payloads: texts(2, 4096), Takeover: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := new(server)
			c := test.config
			c.Conns = 40
			if test.tls {
				c.Addr, c.TLS = s.serve(t, forServer), forClient
			} else {
				c.Addr = s.serve(t, nil)
			}
			held, err := Hold(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			if held.Conns() != 40 || s.messages.Load() != 0 {
				t.Errorf("%d connections, %d messages", held.Conns(), s.messages.Load())
			}
			for round := range int64(3) {
				if err := held.Verify(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := s.messages.Load(); n != 40*(round+1) {
					t.Errorf("%d messages after round %d", n, round)
				}
				turn := int64(max(len(c.Payloads), 1))
				if n := held.verified(); n != 40*(round/turn+1) {
					t.Errorf("%d replies compared after round %d", n, round)
				}
			}
		})
	}
}

// verified is the number of replies that were compared byte by byte.
func (h *Held) verified() (n int64) {
	for _, part := range h.holders {
		n += part.run.result.Verified
	}
	return n
}

func TestHeldConnectionThatDied(t *testing.T) {
	var once sync.Once
	s := new(server)
	s.reply = func(c *serverConn, m message) bool {
		alive := true
		once.Do(func() { alive = false })
		if alive {
			c.frame(m.first, m.payload)
		}
		return alive
	}
	held, err := Hold(t.Context(), Config{Addr: s.serve(t, nil), Conns: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := held.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "expected a text message of 11 bytes; got the end of TCP") {
		t.Fatal(err)
	}
}

func TestHoldOfAServerThatIsSilent(t *testing.T) {
	s := &server{reply: func(*serverConn, message) bool { return true }}
	held, err := Hold(t.Context(), Config{Addr: s.serve(t, nil), Conns: 2, Timeout: silenceTime})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := held.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "got nothing for 300ms") {
		t.Fatal(err)
	}
}

func TestHoldThatIsCanceledSaysHowManyConnectionsAreReady(t *testing.T) {
	var answered atomic.Int64
	ctx, cancel := context.WithCancelCause(t.Context())
	s := new(server)
	s.reply = func(c *serverConn, m message) bool {
		if answered.Add(1) > 5 {
			cancel(errors.New("out of time"))
		}
		c.frame(m.first, m.payload)
		return true
	}
	held, err := Hold(ctx, Config{Addr: s.serve(t, nil), Conns: 200})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	err = held.Verify(ctx)
	var done, of int
	if err == nil || !strings.HasSuffix(err.Error(), "connections are verified: out of time") {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(err.Error(), "load: %d of %d ", &done, &of); err != nil || of != 200 || done < 5 || done > 5+holders+1 {
		t.Errorf("%d of %d: %v", done, of, err)
	}
}

func TestErrorsOfALimitNameIt(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EMFILE: "ulimit -n", syscall.EADDRNOTAVAIL: "ip_local_port_range", syscall.ENOBUFS: "tcp_mem", syscall.ECONNREFUSED: "",
	} {
		s := &session{run: &run{}}
		err := s.unconnected(os.NewSyscallError("socket", errno))
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "the limit of") != (want != "") {
			t.Errorf("%v: %v, want %q in it", errno, err, want)
		}
	}
}
