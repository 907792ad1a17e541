package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func TestCallsOfManyGoroutinesShareAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		begin := time.Now()
		results := make(chan float64)
		for i := range 3 * maxCalls {
			go func() {
				if i%2 == 0 {
					check.OK(t, c.call(t.Context(), "sleep", []float64{1}, new(string)))
				}
				var sum float64
				check.OK(t, c.call(t.Context(), "sum", []int{i, 1000}, &sum))
				results <- sum - float64(i)
			}()
		}
		for range 3 * maxCalls {
			check.Equal(t, <-results, 1000, "sum")
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("24 calls of a second, 16 at a time, took %v", took)
		}
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t)
		for method, code := range map[string]int{"sum": -32602, "divide": -32601} {
			err := c.call(t.Context(), method, "text", new(any))
			check.Equal(t, check.As[*rpcError](t, err, "%s", method).Code, code, "code of %s", method)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check.Is(t, c.call(ctx, "sleep", []int{60}, new(string)), context.DeadlineExceeded, "a call that is given up")
		var sum float64
		check.OK(t, c.call(t.Context(), "sum", []int{1, 2}, &sum)) // the connection is usable
		check.Equal(t, sum, 3, "sum")
		time.Sleep(time.Minute) // the late answer
		c.conn.CloseNow()
		if err := c.call(t.Context(), "sum", []int{1}, &sum); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestNotificationHasNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := wstest.Serve(t, newServer(methods))
		nc, err := ln.Dial()
		check.Must(t, err)
		defer nc.Close()
		check.OK(t, wstest.NewClient(nc).Play(`
			open /
			send text "{\"jsonrpc\":\"2.0\",\"method\":\"sum\",\"params\":[1]}"
			expect silence 5s
			send text "no JSON"
			expect text "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"the message is not JSON\"}}"
			send close 1000
			expect close 1000
		`))
	})
}

// start returns a client of a server in memory.
func start(t *testing.T) *caller {
	t.Helper()
	conn, err := client.Dial(t.Context(), "ws://rpc.example/", &client.Config{DialContext: client.DialFunc(wstest.Serve(t, newServer(methods)).DialContext)})
	check.Must(t, err)
	c := newCaller(conn)
	t.Cleanup(func() { c.conn.Close(wire.NormalClosure, "") })
	return c
}
