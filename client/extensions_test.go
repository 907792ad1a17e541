package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// The client offers no extension, so that the server can accept none: the
// opening handshake fails for every extension in the response, known or
// unknown, well-formed or not (6455-4.1-v, 6455-9.1-a, 6455-9.1-b).
func TestResponseWithAnExtensionIsRefused(t *testing.T) {
	for _, extension := range []string{
		"permessage-deflate",
		"PERMESSAGE-DEFLATE",
		"permessage-deflate; client_max_window_bits=15",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=7",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate, permessage-deflate",
		"permessage-deflate\r\nSec-WebSocket-Extensions: foo",
		"x-webkit-deflate-frame",
		"foo; bar=1",
		"permessage-deflate; x=",
		"",
	} {
		t.Run(extension, func(t *testing.T) {
			c, err := dialAnswered(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: KEY-ACCEPT\r\nSec-WebSocket-Extensions: "+extension+"\r\n\r\n", nil)
			var reason *handshake.ResponseError
			if c != nil || !errors.As(err, &reason) || reason.Field != "Sec-WebSocket-Extensions" {
				t.Errorf("got %v, %v", c, err)
			}
			checkErrorText(t, err)
		})
	}
}

// An extension that the opening handshake did not negotiate has no effect later
// (6455-5.8-a): a reserved bit breaks a rule in every frame, at any age of the
// connection (6455-9.1-c, 6455-5.2-b). The client sets none itself.
func TestReservedBitsNeverMeanAnything(t *testing.T) {
	for _, rsv := range []byte{0x40, 0x20, 0x10, 0x70} {
		for _, op := range []wire.Opcode{wire.Text, wire.Binary, wire.Continuation, wire.Close, wire.Ping, wire.Pong} {
			subtestPiped(t, fmt.Sprintf("%#x on a %v", rsv, op), nil, func(t *testing.T, c *client.Conn, f *farEnd) {
				for range 10 {
					f.send(textFrame("plain"))
					receiveWant(t, c, wire.Text, "plain")
					check.Must(t, c.SendText("plain"))
					if frame, err := f.next(); err != nil || frame.RSV != 0 {
						t.Errorf("the client sent %+v, %v", frame, err)
					}
				}
				if op == wire.Continuation {
					f.send(firstFragment(wire.Text, "begun"))
				}
				f.send([]byte{0x80 | rsv | byte(op), 0})
				if _, err := c.Receive(t.Context()); !isFailError(wire.ProtocolError)(err) || !strings.Contains(err.Error(), "reserved bit") {
					t.Errorf("received %v", err)
				}
			})
		}
	}
}

// A client that is left alone does not close: neither silence nor time is a
// reason (6455-7.1.7-d).
func TestClientDoesNotCloseOfItself(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		time.Sleep(24 * time.Hour)
		if c.State() != client.Open {
			t.Errorf("the connection is %v: %v", c.State(), c.Err())
		}
		check.OK(t, c.SendText("still here"))
		f.want(1, wire.Text, "still here") // the first frame of all
	})
}
