package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

func TestViewersGetTheLatestFiguresAndThenOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := start(t)
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go d.run(ctx)
		time.Sleep(2500 * time.Millisecond)
		c := view(t, ln)
		for second := 2; second < 5; second++ {
			got := receive(t, c)
			check.Equal(t, got.Time.Sub(begin), time.Duration(second)*time.Second, "time of the figures")
			if got.Goroutines == 0 || got.HeapBytes == 0 {
				t.Errorf("figures without values: %+v", got)
			}
			if second > 2 {
				check.Equal(t, got.Viewers, 1, "viewers")
			}
		}
	})
}

// A viewer that does not read for a time gets the latest figures in the end.
func TestSlowViewerMissesOldFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := start(t)
		slow := view(t, ln)
		begin := time.Now()
		const published = 1500 // more than the buffers of connection and server have
		for i := range published {
			check.Must(t, d.publish(begin.Add(time.Duration(i)*time.Second)))
		}
		received, last := 0, -1
		for last != published-1 {
			second := int(receive(t, slow).Time.Sub(begin).Seconds())
			if second <= last {
				t.Fatalf("the figures of second %d after those of %d", second, last)
			}
			last = second
			received++
		}
		if received == published {
			t.Error("no figures were dropped")
		}
	})
}

// start serves a dashboard in memory.
func start(t *testing.T) (*dashboard, *wstest.Listener) {
	d := newDashboard()
	return d, wstest.Serve(t, d.server)
}

func view(t *testing.T, ln *wstest.Listener) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), "ws://dashboard.example/figures", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	t.Cleanup(func() { c.CloseNow() })
	synctest.Wait() // the server has it
	return c
}

func receive(t *testing.T, c *client.Conn) (f figures) {
	t.Helper()
	check.Must(t, c.ReceiveJSON(t.Context(), &f))
	return f
}
