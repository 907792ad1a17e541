package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

// The connection fails with 1008 if an unfinished message makes no progress of
// 64 KiB within AssemblyTimeout, in every call that reads (T-C15, T-A06).
func TestMessageWithoutProgress(t *testing.T) {
	header := string(wire.AppendHeader(nil, wire.Header{Fin: true, Opcode: wire.Binary, Length: 1 << 20}))
	tests := map[string]struct{ before, drip string }{
		"half a header":       {before: "\x82"},
		"a header":            {before: header},
		"half a payload":      {before: header + strings.Repeat("a", 100)},
		"half a message":      {before: "\x01\x02ab"},
		"half a Ping":         {before: "\x89\x02a"},
		"a byte now and then": {before: header, drip: "a"},
	}
	calls := map[string]func(t *testing.T, c *client.Conn) error{
		"Receive": func(t *testing.T, c *client.Conn) error { _, err := c.Receive(t.Context()); return err },
		"ReceiveInto": func(t *testing.T, c *client.Conn) error {
			_, _, err := c.ReceiveInto(t.Context(), nil)
			return err
		},
		"Ping": func(t *testing.T, c *client.Conn) error { _, err := c.Ping(t.Context()); return err },
	}
	for name, tt := range tests {
		for call, receive := range calls {
			subtestPiped(t, name+"/"+call, &client.Config{AssemblyTimeout: 8 * time.Second}, func(t *testing.T, c *client.Conn, f *farEnd) {
				f.send([]byte(tt.before))
				if tt.drip != "" {
					defer f.drip(time.Second, []byte(tt.drip))()
				}
				start := time.Now()
				err := receive(t, c)
				if took := time.Since(start); took < 8*time.Second || took > 9*time.Second {
					t.Errorf("failed after %v", took)
				}
				var failed *client.FailError
				var late *client.TimeoutError
				if !errors.As(err, &failed) || failed.Code != wire.PolicyViolation || !errors.As(err, &late) || late.After != 8*time.Second ||
					!late.Timeout() || !strings.HasSuffix(err.Error(), "no message progress for 8s (AssemblyTimeout)") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// A message that makes progress has no time limit. Time without a call that
// receives does not count.
func TestMessageThatMakesProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts, part = 10, 64 << 10
		c, f := openPipe(t, &client.Config{AssemblyTimeout: 8 * time.Second})
		header := string(wire.AppendHeader(nil, wire.Header{Fin: true, Opcode: wire.Binary, Length: parts * part}))
		go func() {
			f.send([]byte(header))
			for range parts {
				time.Sleep(5 * time.Second)
				f.send([]byte(strings.Repeat("a", part)))
			}
			f.send([]byte("\x01\x02ab"))
		}()
		if m, err := c.Receive(t.Context()); err != nil || len(m.Payload) != parts*part {
			t.Fatalf("%d bytes, %v", len(m.Payload), err)
		}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if _, err := c.Receive(ctx); !errors.Is(err, ctx.Err()) {
				t.Fatal(err)
			}
			cancel()
			time.Sleep(time.Hour)
		}
		f.send([]byte("\x80\x01c"))
		if m, err := c.Receive(t.Context()); err != nil || m.Text() != "abc" {
			t.Errorf("%q, %v", m.Text(), err)
		}
	})
}
