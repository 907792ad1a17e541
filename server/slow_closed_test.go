package server_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// With SlowDropOldest, Send returns an error after the server's Close, also
// while output is buffered. The message used to enter the send queue and be
// lost, and Send returned nil.
func TestSlowDropOldestRefusesMessagesAfterClose(t *testing.T) {
	prepared, err := server.Prepare(wire.Text, []byte("late"))
	check.Must(t, err)
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{WriteTimeout: patience, SlowPolicy: server.SlowDropOldest}
		c, _, _ := opened(t, start, s)
		for c.Buffered() == 0 {
			check.Must(t, c.Send(wire.Binary, numbered(0)))
		}
		check.Must(t, c.Close(wire.GoingAway, ""))
		if c.Buffered() == 0 {
			t.Fatal("the backlog is empty")
		}
		for name, send := range map[string]func() error{
			"Send":         func() error { return c.Send(wire.Text, []byte("late")) },
			"SendText":     func() error { return c.SendText("late") },
			"SendPrepared": func() error { return c.SendPrepared(prepared) },
		} {
			if err := send(); !errors.Is(err, server.ErrClosed) {
				t.Errorf("%s returned %v", name, err)
			}
		}
	})
}
