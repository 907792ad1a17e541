package apis

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
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
	var set sockets.Set
	defer set.CloseAll(t.Context())

	t.Run("connect(name, url, {headers, timeout, maxHistory}) → {name, url, connected}", func(t *testing.T) {
		info, err := set.Connect(t.Context(), "feed", url, &sockets.Options{
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
			if err := set.Send("feed", c.value); err != nil {
				t.Fatal(err)
			}
			m, err := set.Receive("feed", 0) // the default
			if err != nil || m.Text() != c.text {
				t.Errorf("got %q, %v; want %q", m.Payload, err, c.text)
			}
		}
		var timeout net.Error
		if _, err := set.Receive("feed", time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("with nothing to receive: %v", err)
		}
	})

	t.Run("messages(name, limit, default 50) from a bounded history", func(t *testing.T) {
		all, err := set.Messages("feed", 0)
		if err != nil || len(all) != 3 || all[0].Text() != `{"n":1}` || all[2].Text() != "42" {
			t.Errorf("the last three of four: %v, %v", all, err)
		}
		last, err := set.Messages("feed", 1)
		if err != nil || len(last) != 1 || last[0].Text() != "42" {
			t.Errorf("the last: %v, %v", last, err)
		}
	})

	t.Run("isConnected", func(t *testing.T) {
		if !set.IsConnected("feed") || set.IsConnected("nobody") {
			t.Error("feed is connected, nobody is not")
		}
	})

	t.Run("onMessage(name, handler)", func(t *testing.T) {
		heard := make(chan string, 1)
		if err := set.OnMessage("feed", func(m client.Message) { heard <- m.Text() }); err != nil {
			t.Fatal(err)
		}
		if err := set.Send("feed", "listen"); err != nil {
			t.Fatal(err)
		}
		expect(t, heard, "listen")
	})

	t.Run("ping", func(t *testing.T) {
		if rtt, err := set.Ping("feed"); err != nil || rtt <= 0 {
			t.Errorf("got %v, %v", rtt, err)
		}
	})

	t.Run("the errors", func(t *testing.T) {
		_, noURL := set.Connect(t.Context(), "x", "", nil)
		connect := func(name string) {
			if _, err := set.Connect(t.Context(), name, url, nil); err != nil {
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
		_, ended := set.Receive("gone", 0)
		for _, c := range []struct {
			err  error
			text string
		}{
			{noURL, "URL is required"},
			{set.OnMessage("feed", nil), "handler must be a function"},
			{set.Send("x", "hello"), `connection "x" not found`},
			{ended, `connection "gone" is not open`},
			{set.Send("gone", "hello"), `connection "gone" is not open`},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("got %v, want %q in it", c.err, c.text)
			}
		}
	})

	t.Run("close", func(t *testing.T) {
		if err := set.Close("feed"); err != nil {
			t.Error(err)
		}
		if set.IsConnected("feed") {
			t.Error("still connected")
		}
	})
}
