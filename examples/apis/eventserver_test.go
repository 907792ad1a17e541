package apis

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestEventServer shows the equivalent of a server with event handlers.
func TestEventServer(t *testing.T) {
	t.Run("run(ws, callback, buffered bytes, timeout) over an already upgraded connection", func(t *testing.T) {
		ours, theirs := net.Pipe()
		var s server.Server
		s.Handler.Message = echo
		s.WriteTimeout = time.Second
		ended := make(chan error, 1)
		frame := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text, Masked: true}, []byte("early"))
		go func() { ended <- s.Run(ours, server.Handshake{Buffered: frame}) }()
		if got := readFrame(t, theirs); got.Opcode != wire.Text || string(got.Payload) != "early" {
			t.Errorf("got %v %q", got.Opcode, got.Payload)
		}
		theirs.Close()
		var lost *server.LostError
		if err := <-ended; !errors.As(err, &lost) {
			t.Errorf("Run returned %v", err)
		}
	})

	t.Run("events open, message, partial message, error, close", func(t *testing.T) {
		events := make(chan string, 10)
		var s server.Server
		s.Handler = server.Handler{
			Open:    func(c *server.Conn) { events <- "open" },
			Message: func(c *server.Conn, op wire.Opcode, p []byte) { events <- fmt.Sprintf("message %v %s", op, p) },
			Partial: func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
				events <- fmt.Sprintf("partial %v %s %t", op, p, final)
				if final {
					c.SendText("next")
				}
			},
			Error: func(c *server.Conn, err error) { events <- "error" },
			Close: func(c *server.Conn, code wire.StatusCode, reason string) { events <- fmt.Sprintf("close %d", code) },
		}
		c := dial(t, start(t, &s), nil)
		expect(t, events, "open")
		c.SendText("whole")
		expect(t, events, "message text whole")
		w, err := c.NextWriter(wire.Text)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "in ")
		w.Flush()
		expect(t, events, "partial text in  false")
		fmt.Fprint(w, "pieces")
		w.Close()
		expect(t, events, "partial text pieces true")
		want(t, c, wire.Text, "next")
		c.CloseNow()
		expect(t, events, "error", "close 1006")
	})

	t.Run("send formatted text, string, JSON, block of a given type (also fragments)", func(t *testing.T) {
		var s server.Server
		s.Handler.Open = func(c *server.Conn) {
			c.Sendf("%d + %d = %d", 1, 2, 3)
			c.SendText("text")
			c.SendJSON([]int{1, 2})
			c.Send(wire.Binary, []byte{1, 2})
			c.SendFragment(wire.Text, []byte("in "), false)
			c.SendFragment(wire.Continuation, []byte("two"), true)
		}
		c := dial(t, start(t, &s), nil)
		want(t, c, wire.Text, "1 + 2 = 3")
		want(t, c, wire.Text, "text")
		want(t, c, wire.Text, "[1,2]")
		want(t, c, wire.Binary, "\x01\x02")
		want(t, c, wire.Text, "in two")
	})

	t.Run("close with status and reason", func(t *testing.T) {
		var s server.Server
		s.Handler.Open = func(c *server.Conn) { c.Close(4000, "full") }
		c := dial(t, start(t, &s), nil)
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "full" {
			t.Errorf("got %v", err)
		}
	})

	t.Run("per-connection data", func(t *testing.T) {
		var s server.Server
		s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
			n, _ := c.Value().(int)
			c.SetValue(n + 1)
			c.Sendf("%d", n+1)
		}
		c := dial(t, start(t, &s), nil)
		for _, n := range []string{"1", "2", "3"} {
			c.SendText("count")
			want(t, c, wire.Text, n)
		}
	})

	t.Run("close reason and error message getters", func(t *testing.T) {
		got := make(chan string, 1)
		var s server.Server
		s.Handler.Close = func(c *server.Conn, code wire.StatusCode, reason string) {
			got <- fmt.Sprintf("%d %s %v", c.CloseCode(), c.CloseReason(), c.Err())
		}
		c := dial(t, start(t, &s), nil)
		if err := c.Close(4002, "had enough"); err != nil {
			t.Error(err)
		}
		expect(t, got, `4002 had enough websocket: closed by the peer with 4002: "had enough"`)
	})

	t.Run("limits on frame and message size", func(t *testing.T) {
		var s server.Server
		s.Limits = server.Limits{Frame: 10, Message: 15}
		url := start(t, &s)
		send := func(pieces ...int) error {
			c := dial(t, url, nil)
			w, err := c.NextWriter(wire.Binary)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range pieces {
				w.Write(make([]byte, n))
				w.Flush()
			}
			w.Close()
			_, err = c.Receive(t.Context())
			return err
		}
		for name, pieces := range map[string][]int{"frame": {11}, "message": {8, 8}} {
			var closed *client.CloseError
			if err := send(pieces...); !errors.As(err, &closed) || closed.Code != wire.MessageTooBig {
				t.Errorf("%s over the limit: %v", name, err)
			}
		}
	})

	t.Run("configured subprotocol", func(t *testing.T) {
		var s server.Server
		s.Subprotocols = []string{"chat"}
		c := dial(t, start(t, &s), &client.Config{Subprotocols: []string{"superchat", "chat"}})
		if c.Subprotocol() != "chat" {
			t.Errorf("got %q", c.Subprotocol())
		}
	})

	t.Run("ping period or never", func(t *testing.T) {
		for _, interval := range []time.Duration{time.Minute, -1} {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				s := server.Server{PingInterval: interval}
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ours, server.Handshake{}) }()
				theirs.SetReadDeadline(time.Now().Add(2 * time.Minute))
				began := time.Now()
				b := make([]byte, 2)
				_, err := theirs.Read(b)
				if pinged := err == nil && wire.Opcode(b[0]&0xf) == wire.Ping; pinged != (interval > 0) {
					t.Errorf("interval %v: % x, %v after %v", interval, b, err, time.Since(began))
				}
				theirs.Close()
				<-ended
			})
		}
	})
}

// expect compares the next events.
func expect(t *testing.T, events <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-events; got != w {
			t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// readFrame reads one frame.
func readFrame(t *testing.T, nc net.Conn) wire.Frame {
	t.Helper()
	var b []byte
	for {
		f, n, err := wire.DecodeFrame(b)
		if err != nil || n > 0 {
			return f
		}
		buf := make([]byte, 1024)
		n, err = nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, buf[:n]...)
	}
}
