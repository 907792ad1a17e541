package conform_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest/conform"
)

// ourServers start our echo server in each way to run it, until the test ends.
var ourServers = map[string]func(t *testing.T, s *server.Server) (url string, trust *tls.Config){
	"listening": func(t *testing.T, s *server.Server) (string, *tls.Config) {
		return "ws://" + serveOn(t, listen(t), s.Serve, s.Shutdown), nil
	},
	"behind net/http": func(t *testing.T, s *server.Server) (string, *tls.Config) {
		web := &http.Server{Handler: httpupgrade.Handler(s)}
		stop := func(ctx context.Context) error {
			if err := s.Shutdown(ctx); err != nil {
				return err
			}
			return web.Shutdown(ctx)
		}
		return "ws://" + serveOn(t, listen(t), web.Serve, stop), nil
	},
	"over TLS": func(t *testing.T, s *server.Server) (string, *tls.Config) {
		ours, theirs := certificate()
		return "wss://" + serveOn(t, tls.NewListener(listen(t), ours), s.Serve, s.Shutdown), theirs
	},
}

// Every case of the suite, against our server in each way to run it.
func TestOurServerConforms(t *testing.T) {
	for name, start := range ourServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := unhurried()
			if name != "listening" && !*conform.Full {
				o.Except = append(o.Except, "6.*", "12.*", "13.*") // which do not depend on the transport
			}
			var url string
			url, o.TLS = start(t, echoServer())
			conform.TestServer(t, url, o)
		})
	}
}

// Every case of the suite, against our client.
func TestOurClientConforms(t *testing.T) {
	t.Parallel()
	conform.TestClient(t, echoClient, unhurried())
}

// unhurried returns options with patience for a machine that is busy with other
// tests. The large messages are for -full. The cases of 1000 messages have 100
// with it: all of them, compressed, take the strict inflater minutes.
func unhurried() conform.Options {
	o := conform.Options{Patience: 20, Strict: true, Rounds: 100}
	if !*conform.Full {
		o.Rounds, o.Except = 4, slices.Clone(large)
	}
	if raceDetector { // which makes the strict inflater ten times as slow
		o.Rounds = 2
	}
	return o
}

// raceDetector is set in builds with the race detector.
var raceDetector bool

// large are cases of large messages: one of each kind is not among them.
var large = []string{
	"9.1.5", "9.1.6", "9.2.*", "9.3.2", "9.3.3", "9.3.4", "9.3.6", "9.3.7", "9.3.8", "9.4.*",
	"9.5.2", "9.5.3", "9.5.4", "9.5.5", "9.6.*", "9.8.*",
	"12.*.9", "12.*.10", "12.*.14", "12.*.15", "12.*.16", "12.*.17", "12.*.18",
	"13.*.9", "13.*.10", "13.*.14", "13.*.15", "13.*.16", "13.*.17", "13.*.18",
}

// echoServer returns our server, which sends every message back.
func echoServer() *server.Server {
	return &server.Server{
		Handler:     server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		Compression: new(permessage.Deflate),
		Log:         func(error) {}, // of the connections that a case breaks
	}
}

// echoClient is our client, which sends every message back.
func echoClient(ctx context.Context, url string) error {
	c, err := client.Dial(ctx, url, &client.Config{Compression: new(permessage.Deflate)})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return nil // the connection ended
		}
		c.Send(m.Opcode, m.Payload) // an error ends the connection
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	return ln
}

// serveOn serves on ln until the test ends, and returns the address.
func serveOn(t *testing.T, ln net.Listener, serve func(net.Listener) error, shutdown func(context.Context) error) (addr string) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		check.OKf(t, shutdown(ctx), "shutdown")
		<-served
	})
	return ln.Addr().String()
}

// certificate returns both sides' configuration of TLS, with a certificate for 127.0.0.1.
func certificate() (server, client *tls.Config) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	return &tls.Config{Certificates: ts.TLS.Certificates}, ts.Client().Transport.(*http.Transport).TLSClientConfig
}
