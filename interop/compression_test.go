package interop

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peer"
	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/coder"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
	"github.com/fibersock/fibersock/interop/peers/gorilla"
	"github.com/fibersock/fibersock/interop/peers/gws"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
)

// libraries are those that have permessage-deflate.
var libraries = []peers.Library{coder.Library, gobwas.Library, gorilla.Library, gws.Library}

// ourModes are modes of our compression.
var ourModes = map[string]*permessage.Deflate{
	"default":     {},
	"15 bits":     {WindowBits: 15},
	"9 bits":      {WindowBits: 9},
	"no takeover": {Mode: permessage.NoContextTakeover},
}

// compressible returns messages of all sizes that resemble each other.
func compressible() (list []string) {
	for n := range 40 {
		tick := fmt.Sprintf(`{"type":"tick","symbol":"ACME","seq":%d,"bid":%d.25,"ask":%d.75,"venue":"XNYS","name":"世界"}`, n, 100+n, 101+n)
		list = append(list, tick, strings.Repeat(tick, 1+n*n/4))
	}
	return append(list, "", "a", strings.Repeat("0", 1<<20))
}

// Each library in Go understands what we compress, and we what it compresses,
// in both roles and in every mode that it has.
func TestCompressionOfLibraries(t *testing.T) {
	for _, l := range libraries {
		for _, takeover := range []bool{false, true} {
			for name, ours := range ourModes {
				t.Run(fmt.Sprintf("%s, takeover %v, ours %s", l.Name, takeover, name), func(t *testing.T) {
					o := peers.Options{MaxMessage: 16 << 20, Deflate: true, Takeover: takeover}
					t.Run("client", func(t *testing.T) { compressesAsClient(t, l, o, ours) })
					t.Run("server", func(t *testing.T) { compressesAsServer(t, l, o, ours) })
				})
			}
		}
	}
}

// compressesAsClient exchanges messages with the library as the server.
func compressesAsClient(t *testing.T, l peers.Library, o peers.Options, ours *permessage.Deflate) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Serve(ln, o, peers.Handler{}) // until ln is closed
	}()
	defer func() {
		ln.Close()
		<-ended
	}()
	echoesCompressed(t, "ws://"+ln.Addr().String()+"/", ours)
}

// echoesCompressed exchanges messages with the echo server at url.
func echoesCompressed(t *testing.T, url string, ours *permessage.Deflate) {
	t.Helper()
	ctx := patient(t)
	c, err := client.Dial(ctx, url, &client.Config{Compression: ours})
	check.Must(t, err)
	defer c.CloseNow()
	t.Logf("agreed on %s", c.Compression())
	if c.Compression() == "" {
		t.Error("nothing is compressed")
	}
	for _, want := range compressible() {
		check.Must(t, c.SendText(want))
		m, err := c.Receive(ctx)
		check.Must(t, err)
		if m.Text() != want {
			t.Fatalf("received %.200q of %d bytes, want %.200q of %d", m.Payload, len(m.Payload), want, len(want))
		}
	}
}

// compressesAsServer exchanges messages with the library as the client, which
// echoes.
func compressesAsServer(t *testing.T, l peers.Library, o peers.Options, ours *permessage.Deflate) {
	ctx := patient(t)
	done := make(chan error, 1)
	s := &server.Server{Compression: ours, Handler: server.Handler{Serve: func(c *server.Conn) {
		t.Logf("agreed on %s", c.Compression())
		done <- exchange(ctx, c)
	}}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	go l.Dial(ctx, "ws://"+ln.Addr().String()+"/", o, peers.Handler{}) // until the server closes
	err, waited := within(ctx, done)
	check.Must(t, waited)
	check.Must(t, err)
	if st := s.Stats(); st.Sent.Compressed < st.Sent.Messages/3 || st.Received.Compressed < st.Received.Messages/3 {
		t.Errorf("%d messages sent, %d of them compressed; %d received, %d compressed", st.Sent.Messages, st.Sent.Compressed, st.Received.Messages, st.Received.Compressed)
	}
}

// exchange sends messages and compares their echoes.
func exchange(ctx context.Context, c *server.Conn) error {
	for _, want := range compressible() {
		if err := c.SendText(want); err != nil {
			return err
		}
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Text() != want {
			return fmt.Errorf("received %.200q of %d bytes, want %.200q of %d", m.Payload, len(m.Payload), want, len(want))
		}
	}
	return nil
}

// So do the peers in other languages: they echo what our client compresses.
func TestCompressionOfScripts(t *testing.T) {
	for _, name := range []string{"ws", "websockets"} {
		p, err := peer.Find(name)
		check.Must(t, err)
		for mode, ours := range ourModes {
			t.Run(name+", ours "+mode, func(t *testing.T) {
				ctx, cancel := context.WithCancel(patient(t))
				urls, ended := make(chan string, 1), make(chan error, 1)
				go func() { ended <- p.Serve(ctx, "127.0.0.1:0", func(url string) { urls <- url }) }()
				defer func() {
					cancel()
					<-ended
				}()
				select {
				case url := <-urls:
					echoesCompressed(t, url, ours)
				case err := <-ended:
					ended <- err
					t.Fatal(err)
				}
			})
		}
	}
}
