package peer

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

const patience = 30 * time.Second

var messages = []client.Message{
	{Opcode: wire.Text, Payload: []byte("")},
	{Opcode: wire.Text, Payload: []byte("Grüße, 世界 🙂")},
	{Opcode: wire.Binary, Payload: []byte{0, 0xff, 0x80}},
	{Opcode: wire.Text, Payload: []byte(strings.Repeat("ü", 10_000))},
}

// large is more than any of the defaults.
var large = client.Message{Opcode: wire.Binary, Payload: make([]byte, 20<<20)}

func TestServersEcho(t *testing.T) {
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			ctx := check.Within(t, patience)
			c, err := client.Dial(ctx, serve(t, p), &client.Config{Limits: client.Limits{Message: MaxMessage}})
			check.Must(t, err)
			defer c.CloseNow()
			for _, m := range slices.Concat(messages, []client.Message{large}) {
				sent := make(chan error, 1)
				go func() { sent <- c.Send(m.Opcode, m.Payload) }() // some peers echo parts of a message while more arrives
				echo, err := c.Receive(ctx)
				check.Must(t, errors.Join(err, <-sent))
				if echo.Opcode != m.Opcode || string(echo.Payload) != string(m.Payload) {
					t.Errorf("a %v message of %d bytes came back as %v of %d", m.Opcode, len(m.Payload), echo.Opcode, len(echo.Payload))
				}
			}
		})
	}
}

// serve runs p as a server until the end of the test.
func serve(t *testing.T, p Peer) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	urls, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- p.Serve(ctx, "127.0.0.1:0", func(url string) { urls <- url }) }()
	t.Cleanup(func() {
		cancel()
		check.OKf(t, <-ended, "Serve")
	})
	select {
	case url := <-urls:
		return url
	case err := <-ended:
		ended <- nil
		t.Fatalf("Serve: %v", err)
	}
	return ""
}

func TestClientsDrive(t *testing.T) {
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			ctx := check.Within(t, patience)
			f := &fuzzingServer{}
			check.Must(t, p.Drive(ctx, f.start(t), "a peer", 1))
			f.mu.Lock()
			defer f.mu.Unlock()
			want := []string{"/getCaseCount", "/runCase 1 a peer", "/runCase 2 a peer", "/updateReports  a peer"}
			if !slices.Equal(f.asked, want) {
				t.Errorf("asked for %q, want %q", f.asked, want)
			}
			if f.echoes != 2*len(messages) {
				t.Errorf("%d right echoes, want %d", f.echoes, 2*len(messages))
			}
		})
	}
}

// A fuzzingServer is a server with two cases, in each of which the client must
// echo all messages.
type fuzzingServer struct {
	mu     sync.Mutex // guards the rest
	asked  []string
	echoes int
}

func (f *fuzzingServer) start(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	s := &server.Server{
		Handler: server.Handler{Serve: f.serve},
		Origins: []string{"*"},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(now)
		check.Is(t, <-ended, server.ErrServerClosed, "Serve")
	})
	return "ws://" + ln.Addr().String()
}

func (f *fuzzingServer) serve(c *server.Conn) {
	target, err := url.Parse(c.Request().Target)
	if err != nil {
		return
	}
	query := target.Query()
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSuffix(target.Path+" "+query.Get("case")+" "+query.Get("agent"), "  "))
	f.mu.Unlock()
	switch target.Path {
	case "/getCaseCount":
		c.Send(wire.Text, []byte("2"))
	case "/runCase":
		for _, m := range messages {
			c.Send(m.Opcode, m.Payload)
			echo, err := c.Receive(context.Background())
			if err == nil && echo.Opcode == m.Opcode && string(echo.Payload) == string(m.Payload) {
				f.mu.Lock()
				f.echoes++
				f.mu.Unlock()
			}
		}
	}
}
