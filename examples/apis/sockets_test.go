package apis

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
)

// TestNamedSockets shows the equivalent of named sockets.
func TestNamedSockets(t *testing.T) {
	headers := make(chan string, 10)
	var s server.Server
	s.Handler = server.Handler{
		Open:    func(c *server.Conn) { headers <- c.Header().Get("X-Token") },
		Message: echo,
	}
	url := start(t, &s)
	var sockets client.Sockets
	defer sockets.CloseAll(t.Context())

	t.Run("connect(name, url, {headers, timeout, maxHistory}) → {name, url, connected}", func(t *testing.T) {
		info, err := sockets.Connect(t.Context(), "feed", url, &client.SocketOptions{
			Header:     map[string][]string{"X-Token": {"secret"}},
			Timeout:    5 * time.Second,
			MaxHistory: 3,
		})
		if err != nil || info.Name != "feed" || !strings.HasPrefix(info.URL, url) || !info.Connected {
			t.Fatalf("got %+v, %v", info, err)
		}
		expect(t, headers, "secret")
	})

	t.Run("send(name, string or any JSON value); receive(name, timeout, default 10 s)", func(t *testing.T) {
		for _, c := range []struct {
			value any
			text  string
		}{
			{"plain text", "plain text"},
			{map[string]int{"n": 1}, `{"n":1}`},
			{[]string{"a", "b"}, `["a","b"]`},
			{42, "42"},
		} {
			if err := sockets.Send("feed", c.value); err != nil {
				t.Fatal(err)
			}
			m, err := sockets.Receive("feed", 0) // the default
			if err != nil || m.Text() != c.text {
				t.Errorf("got %q, %v; want %q", m.Payload, err, c.text)
			}
		}
		var timeout net.Error
		if _, err := sockets.Receive("feed", time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("with nothing to receive: %v", err)
		}
	})

	t.Run("messages(name, limit, default 50) from a bounded history", func(t *testing.T) {
		all, err := sockets.Messages("feed", 0)
		if err != nil || len(all) != 3 || all[0].Text() != `{"n":1}` || all[2].Text() != "42" {
			t.Errorf("the last three of four: %v, %v", all, err)
		}
		last, err := sockets.Messages("feed", 1)
		if err != nil || len(last) != 1 || last[0].Text() != "42" {
			t.Errorf("the last: %v, %v", last, err)
		}
	})

	t.Run("isConnected", func(t *testing.T) {
		if !sockets.IsConnected("feed") || sockets.IsConnected("nobody") {
			t.Error("feed is connected, nobody is not")
		}
	})

	t.Run("onMessage(name, handler)", func(t *testing.T) {
		heard := make(chan string, 1)
		if err := sockets.OnMessage("feed", func(m client.Message) { heard <- m.Text() }); err != nil {
			t.Fatal(err)
		}
		if err := sockets.Send("feed", "listen"); err != nil {
			t.Fatal(err)
		}
		expect(t, heard, "listen")
	})

	t.Run("ping", func(t *testing.T) {
		if rtt, err := sockets.Ping("feed"); err != nil || rtt <= 0 {
			t.Errorf("got %v, %v", rtt, err)
		}
	})

	t.Run("the errors", func(t *testing.T) {
		_, noURL := sockets.Connect(t.Context(), "x", "", nil)
		connect := func(name string) {
			if _, err := sockets.Connect(t.Context(), name, url, nil); err != nil {
				t.Fatal(err)
			}
			<-headers
		}
		connect("gone")
		for c := range s.Conns() {
			if c.Header().Get("X-Token") == "" {
				c.Close(4000, "go away")
			}
		}
		_, ended := sockets.Receive("gone", 0)
		for _, c := range []struct {
			err  error
			text string
		}{
			{noURL, "URL is required"},
			{sockets.OnMessage("feed", nil), "handler must be a function"},
			{sockets.Send("x", "hello"), `connection "x" not found`},
			{ended, `connection "gone" is not open`},
			{sockets.Send("gone", "hello"), `connection "gone" is not open`},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("got %v, want %q in it", c.err, c.text)
			}
		}
	})

	t.Run("close", func(t *testing.T) {
		if err := sockets.Close("feed"); err != nil {
			t.Error(err)
		}
		if sockets.IsConnected("feed") {
			t.Error("still connected")
		}
	})
}
