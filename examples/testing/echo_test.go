// Package echo shows a test with package wstest, without a port and without
// real time.
package echo

import (
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server.Server{Handler: server.Handler{
			Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
		}}
		ln := wstest.Serve(t, s) // in memory, until the test ends

		nc, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := wstest.NewClient(nc).Play(`
			open /chat
			send text more "Hel"
			send ping "between two fragments"
			send continuation "lo"
			expect pong "between two fragments"
			expect text "Hello"
			send close 1000
			expect close 1000
			expect end
		`); err != nil {
			t.Error(err)
		}
	})
}
