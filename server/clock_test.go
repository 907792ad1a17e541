//go:build !race && !lockcheck

package server

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// strict has every time limit. Its connections get Pings after ten seconds.
func strict() *Server {
	return &Server{
		PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second, CloseTimeout: 5 * time.Second,
		IdleTimeout: 20 * time.Second, AssemblyTimeout: 5 * time.Second, MaxLifetime: time.Minute,
	}
}

// However long the machine has slept, and however the clock was set meanwhile, it is
// one tick later: no connection is cut because its time was over in between.
func TestLeapOfTheClockIsOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strict()
		c := openNowhere(t, s)
		if rest, more := c.receive([]byte("\x81\x85\x00\x00\x00\x00He")); len(rest) > 0 || !more { // half of a message
			t.Fatalf("%q, %v", rest, more)
		}
		s.mu.Lock()
		s.stopSweeper() // nobody is at work while the machine sleeps
		s.sweeperDone = make(chan struct{})
		s.mu.Unlock()
		r := &sweep{Server: s, schedule: s.schedule()}
		for range 3 {
			time.Sleep(10_000 * time.Hour)
			r.run(s.clock.advance(), nil)
			synctest.Wait()
			if state := c.State(); state != Open {
				t.Fatalf("the connection is %v, %v", state, c.Err())
			}
		}
	})
}

// A time limit is as long as ever when the clock comes round in the meantime.
func TestClockComesRound(t *testing.T) {
	const period = longestPeriod
	for before := range uint32(20) { // ticks before it does
		synctest.Test(t, func(t *testing.T) {
			s := &Server{IdleTimeout: 10 * period}
			s.clock.start()
			s.clock.ticks.Store(math.MaxUint32 - before)
			c := openNowhere(t, s)
			time.Sleep(10*period - period/2)
			synctest.Wait()
			if state := c.State(); state != Open {
				t.Errorf("%d ticks before the clock comes round: %v before its time", before, state)
			}
			time.Sleep(2 * period)
			synctest.Wait()
			if state := c.State(); state != Closing {
				t.Errorf("%d ticks before the clock comes round: %v after its time", before, state)
			}
		})
	}
}
