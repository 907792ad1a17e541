//go:build !race && !lockcheck

package server

import (
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// strict has every timeout. Its connections get Pings after ten seconds.
func strict() *Server {
	return &Server{
		PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second, CloseTimeout: 5 * time.Second,
		IdleTimeout: 20 * time.Second, AssemblyTimeout: 5 * time.Second, MaxLifetime: time.Minute,
	}
}

// A sleep of the machine, or a change of its clock, counts as one tick. No
// timeout expires because of it.
func TestLeapOfTheClockIsOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strict()
		c := openNowhere(t, s)
		if rest, more := c.receive([]byte("\x81\x85\x00\x00\x00\x00He")); len(rest) > 0 || !more { // half of a message
			t.Fatalf("%q, %v", rest, more)
		}
		s.mu.Lock()
		s.stopSweeper() // the sweeper does not run while the machine sleeps
		s.sweeperDone = make(chan struct{})
		s.mu.Unlock()
		r := &sweep{Server: s, schedule: s.schedule(), stop: s.sweeperDone}
		for range 3 {
			time.Sleep(10_000 * time.Hour)
			r.run(s.clock.advance())
			synctest.Wait()
			if state := c.State(); state != Open {
				t.Fatalf("the connection is %v, %v", state, c.Err())
			}
		}
	})
}

// A sweeper that was stopped in the middle of a sweep leaves the connections of
// its successor alone: two would check them at the same time.
func TestStoppedSweeperChecksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strict()
		openNowhere(t, s).lost(net.ErrClosed)
		old := &sweep{Server: s, schedule: s.schedule(), stop: s.sweeperDone}
		openNowhere(t, s)
		if n, end := old.nextBatch(old.start()); n != 0 || end != 0 {
			t.Errorf("the stopped sweeper checks %d connections, and then %d", n, end)
		}
		now := &sweep{Server: s, schedule: s.schedule(), stop: s.sweeperDone}
		if n, _ := now.nextBatch(now.start()); n != 1 {
			t.Errorf("the running one checks %d connections, want 1", n)
		}
	})
}

// A timeout keeps its length when the clock wraps around.
func TestClockWrapsAround(t *testing.T) {
	const period = longestPeriod
	for before := range uint32(20) { // ticks before the wrap
		synctest.Test(t, func(t *testing.T) {
			s := &Server{IdleTimeout: 10 * period}
			s.clock.start()
			s.clock.ticks.Store(math.MaxUint32 - before)
			c := openNowhere(t, s)
			time.Sleep(10*period - period/2)
			synctest.Wait()
			if state := c.State(); state != Open {
				t.Errorf("%d ticks before the clock wraps around: %v before its time", before, state)
			}
			time.Sleep(2 * period)
			synctest.Wait()
			if state := c.State(); state != Closing {
				t.Errorf("%d ticks before the clock wraps around: %v after its time", before, state)
			}
		})
	}
}

// congested is a transport whose kernel buffers hold bytes for the client.
type congested struct {
	nowhere
	bytes atomic.Int64
}

func (t *congested) Unacknowledged() int { return int(t.bytes.Load()) }

// PongTimeout does not end a connection while the kernel buffers in front of
// the Ping shrink. A client that read a large message for longer than
// PongTimeout used to lose its connection (theturtle32/WebSocket-Node#229,
// python-websockets/websockets#1005).
func TestPongTimeoutWaitsForAClientThatTakesEarlierBytes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reads bool
		lasts time.Duration // at least
	}{
		{"a client that reads slowly", true, 10 * time.Minute},
		{"a client that does not read", false, 15 * time.Second},
	} {
		check.Bubble(t, tt.name, func(t *testing.T) {
			s := &Server{PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second}
			out := new(congested)
			out.bytes.Store(1 << 20)
			c := s.connOver(out)
			if !c.open(Handshake{}, nil) {
				t.Fatal("not open")
			}
			defer c.lost(nil)
			began := time.Now()
			for c.State() == Open {
				time.Sleep(time.Second)
				if tt.reads && time.Since(began) < tt.lasts {
					out.bytes.Add(-1000)
				}
			}
			if took := time.Since(began); took < tt.lasts || took > tt.lasts+time.Minute {
				t.Errorf("the connection lasted %v, want %v and a little", took, tt.lasts)
			}
			var late *TimeoutError
			if err := c.Err(); !errors.As(err, &late) || late.Option != "PongTimeout" {
				t.Errorf("the connection ended by %v", err)
			}
		})
	}
}

// The registry finds open connections that are added and removed in any order,
// and frees the memory of the others.
func TestRegistryKeepsPlaces(t *testing.T) {
	t.Parallel()
	s := new(Server)
	alive := map[*Conn]bool{}
	check := func() {
		t.Helper()
		if len(s.conns) != len(alive) {
			t.Fatalf("%d connections, want %d", len(s.conns), len(alive))
		}
		for i, c := range s.conns {
			if !alive[c] || int(c.place) != i {
				t.Fatalf("place %d holds a connection that is alive: %v, and has place %d", i, alive[c], c.place)
			}
		}
	}
	const most = 20 * fewElements
	for range most {
		c := s.connOver(new(nowhere))
		c.open(Handshake{}, nil)
		alive[c] = true
	}
	for len(alive) > 0 {
		for c := range alive { // in any order
			delete(alive, c)
			c.lost(net.ErrClosed)
			if rand.IntN(10) == 0 && len(alive) > 0 {
				c := s.connOver(new(nowhere))
				c.open(Handshake{}, nil)
				alive[c] = true
			}
			if len(alive)%1000 == 0 {
				check()
			}
			if n := len(alive); cap(s.conns) > max(8*n, fewElements) {
				t.Fatalf("the registry has memory for %d connections, with %d open", cap(s.conns), n)
			}
		}
	}
	check()
	if s.conns != nil {
		t.Error("the registry keeps memory for no connection")
	}
}
