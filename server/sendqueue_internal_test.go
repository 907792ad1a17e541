package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Close is sent behind the queued messages, but does not wait for them when a
// message begins that they have to wait for. It used to wait for its end.
func TestCloseDoesNotWaitForAMessageThatBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Server)
		c := s.connOver(new(nowhere))
		if !c.open(Handshake{}, nil) {
			t.Fatal("not open")
		}
		defer c.lost(nil)
		m, err := Prepare(wire.Binary, []byte("queued"))
		check.Must(t, err)
		q := c.ensureSendQueue()
		q.running = true // by a goroutine that has not got the processor yet
		w, err := c.NextWriter(wire.Binary)
		check.Must(t, err)
		closed := make(chan error, 1)
		w.SetCheck(func(int) error { // behind the server's own, which waits for the queue
			q.push(m, false, c)
			go func() { closed <- c.sendClose(wire.GoingAway, "") }()
			synctest.Wait()
			check.Equal(t, len(closed), 0, "Close has returned before the queued message is sent")
			return nil
		})
		check.Must(t, w.WriteFragment([]byte("first"), false))
		select {
		case err = <-closed:
			check.Must(t, err)
		case <-time.After(time.Hour):
			t.Error("Close waits for the message's end")
			check.Must(t, w.Close())
		}
		check.Equal(t, c.State(), Closing, "state")
		c.sendQueued(q)
		check.Equal(t, q.waiting.Load(), 0, "messages that wait")
	})
}
