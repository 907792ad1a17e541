//go:build !race && !lockcheck

// The race detector makes pools forget, so that allocations are counted without
// it.

package client_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Sending allocates nothing in the steady state.
func TestSendAllocatesNothing(t *testing.T) {
	ours, theirs := tcpPair(t)
	c, f := openOver(t, ours, theirs, nil)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(io.Discard, f.nc)
	}()
	small, large := bytes.Repeat([]byte("small "), 20), bytes.Repeat([]byte("large "), 20_000)
	text := string(small)
	for name, send := range map[string]func() error{
		"text":              func() error { return c.Send(wire.Text, small) },
		"binary":            func() error { return c.Send(wire.Binary, small) },
		"SendText":          func() error { return c.SendText(text) },
		"SendBinary, large": func() error { return c.SendBinary(large) },
		"Pong":              func() error { return c.SendPong(small[:100]) },
	} {
		check.Must(t, send())
		check.Equal(t, testing.AllocsPerRun(200, func() { send() }), 0, "%s", name)
	}
	c.CloseNow()
	<-drained
}

// ReceiveInto allocates nothing in the steady state, with a context that never
// ends and a buffer that is large enough.
func TestReceiveIntoAllocatesNothing(t *testing.T) {
	large := bytes.Repeat([]byte("large "), 20_000)
	for name, message := range map[string][]byte{
		"empty":        textFrame(""),
		"text":         textFrame("the usual message"),
		"binary":       binaryFrame(make([]byte, 200)),
		"in fragments": append(firstFragment(wire.Text, "one "), lastFragment("two")...),
		"large":        binaryFrame(large),
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := tcpPair(t)
			c, f := openOver(t, ours, theirs, nil)
			const runs = 100
			f.send(bytes.Repeat(message, 2*runs))
			buf := make([]byte, 0, len(large))
			receive := func() {
				check.Must(t, check.Err2(c.ReceiveInto(context.Background(), buf)))
			}
			for range runs / 2 {
				receive()
			}
			if got := testing.AllocsPerRun(runs, receive); got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
}
