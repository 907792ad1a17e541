package permessage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// tick returns one of many similar messages.
func tick(n int) string {
	return fmt.Sprintf(`{"type":"tick","symbol":"ACME","seq":%d,"bid":%d.25,"ask":%d.75,"venue":"XNYS","currency":"USD"}`, n, 100+n%7, 101+n%7)
}

// texts are messages of all sizes.
func texts() []string {
	list := []string{"", "a", tick(0)}
	for n := range 30 {
		list = append(list, tick(n), strings.Repeat(tick(n), n*n))
	}
	return append(list, strings.Repeat(tick(1), 20_000), strings.Repeat("\x00", 1<<20))
}

// structListener hides the type of its connections, and so the epoll loop.
type structListener struct{ net.Listener }

func (l structListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{nc}, nil
}

// ways are the ways to run a server. Each returns its URL.
var ways = map[string]func(t *testing.T, s *server.Server) (url string, trust *client.TLSConfig){
	"listening": func(t *testing.T, s *server.Server) (string, *client.TLSConfig) {
		return "ws://" + serveOn(t, listen(t), s.Serve), nil
	},
	"goroutine loop": func(t *testing.T, s *server.Server) (string, *client.TLSConfig) {
		return "ws://" + serveOn(t, structListener{listen(t)}, s.Serve), nil
	},
	"behind net/http": func(t *testing.T, s *server.Server) (string, *client.TLSConfig) {
		return "ws://" + serveOn(t, listen(t), (&http.Server{Handler: httpupgrade.Handler(s)}).Serve), nil
	},
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func serveOn(t *testing.T, ln net.Listener, serve func(net.Listener) error) (addr string) {
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		<-served
	})
	return ln.Addr().String()
}

// dial connects to a server that is run in one of the ways.
func dial(t *testing.T, way string, s *server.Server, cfg client.Config) *client.Conn {
	t.Helper()
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	var url string
	url, cfg.TLS = ways[way](t, s)
	c, err := client.Dial(t.Context(), url, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// echoed sends the texts and checks their echoes.
func echoed(t *testing.T, c *client.Conn, list []string) {
	t.Helper()
	go func() {
		for _, text := range list {
			if err := c.SendText(text); err != nil {
				t.Error(err)
			}
		}
	}()
	var buf []byte
	for i, want := range list {
		op, p, err := c.ReceiveInto(t.Context(), buf[:0])
		if err != nil || op != wire.Text || string(p) != want {
			t.Fatalf("echo %d: %v %.100q of %d bytes, %v; want %.100q of %d", i, op, p, len(p), err, want, len(want))
		}
		buf = p
	}
}

// styles are the styles of a server's handlers. Each sends every message back.
var styles = map[string]func(t *testing.T) server.Handler{
	"Message": func(t *testing.T) server.Handler {
		return server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}
	},
	"Partial": func(t *testing.T) server.Handler {
		return server.Handler{
			Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
			Partial: func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
				if len(p) > 32<<10 {
					t.Errorf("a piece of %d bytes", len(p))
				}
				c.SendFragment(op, p, final)
			},
		}
	},
	"Receive": func(t *testing.T) server.Handler {
		return server.Handler{Serve: func(c *server.Conn) {
			for {
				m, err := c.Receive(context.Background())
				if err != nil {
					return
				}
				c.Send(m.Opcode, m.Payload)
			}
		}}
	},
	"NextReader": func(t *testing.T) server.Handler {
		return server.Handler{Serve: func(c *server.Conn) {
			for {
				op, r, err := c.NextReader(context.Background())
				if err != nil {
					return
				}
				w, err := c.NextWriter(op)
				if err != nil {
					return
				}
				if _, err := io.Copy(w, r); err != nil || w.Close() != nil {
					return
				}
			}
		}}
	},
	"Prepared": func(t *testing.T) server.Handler {
		return server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			server.Broadcast(func(yield func(*server.Conn) bool) { yield(c) }, op, p)
		}}
	},
}

// Messages of all sizes arrive, in every style of handler, on both loops, over
// TLS and behind net/http.
func TestEchoes(t *testing.T) {
	for way := range ways {
		for name, style := range styles {
			t.Run(way+"/"+name, func(t *testing.T) {
				s := &server.Server{Handler: style(t), Compression: new(permessage.Deflate), MaxBacklog: 64 << 20}
				c := dial(t, way, s, client.Config{Compression: new(permessage.Deflate)})
				const want = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
				if got := c.Compression(); got != want {
					t.Errorf("agreed on %q", got)
				}
				for sc := range s.Conns() {
					if got := sc.Compression(); got != want {
						t.Errorf("the server has agreed on %q", got)
					}
				}
				echoed(t, c, texts())
				for direction, n := range map[string]server.Traffic{"received": s.Stats().Received, "sent": s.Stats().Sent} {
					if n.Compressed < 30 || n.EncodedBytes == 0 || n.EncodedBytes > n.DecodedBytes/10 || n.Bytes < n.EncodedBytes {
						t.Errorf("%s %+v", direction, n)
					}
				}
			})
		}
	}
}

// Every mode and window of one side works with every one of the other.
func TestEveryMode(t *testing.T) {
	modes := []*permessage.Deflate{
		{}, {WindowBits: 15}, {WindowBits: 8}, {Mode: permessage.NoContextTakeover}, {WindowBits: 9, Level: permessage.LevelFast}, {Level: permessage.LevelBest, Threshold: -1},
	}
	for i, ours := range modes {
		for j, theirs := range modes {
			t.Run(fmt.Sprint(i, j), func(t *testing.T) {
				c := dial(t, "listening", &server.Server{Handler: styles["Message"](t), Compression: ours}, client.Config{Compression: theirs})
				echoed(t, c, texts()[:40])
			})
		}
	}
}

// Compression needs both sides: a server that does not have it ignores the
// offer, and one whose client does not offer it sends nothing compressed.
func TestOneSideOnly(t *testing.T) {
	deflate := new(permessage.Deflate)
	for name, sides := range map[string]struct {
		server server.Compression
		client client.Compression
	}{"client": {nil, deflate}, "server": {deflate, nil}} {
		t.Run(name, func(t *testing.T) {
			s := &server.Server{Handler: styles["Message"](t), Compression: sides.server}
			c := dial(t, "listening", s, client.Config{Compression: sides.client})
			echoed(t, c, texts()[:10])
			if n := s.Stats().Received.Compressed + s.Stats().Sent.Compressed; n != 0 || c.Compression() != "" {
				t.Errorf("%d compressed messages, agreed on %q", n, c.Compression())
			}
		})
	}
}

// Authorize declines compression for a client, or changes its parameters. An
// extension that the server does not have is its mistake.
func TestAuthorizeDecides(t *testing.T) {
	for name, tt := range map[string]struct {
		authorize func(r *handshake.Request, a *handshake.ServerAnswer) error
		want      string
		status    int
	}{
		"decline": {func(r *handshake.Request, a *handshake.ServerAnswer) error {
			a.Extensions = nil
			return nil
		}, "", 101},
		"other parameters": {func(r *handshake.Request, a *handshake.ServerAnswer) error {
			offer, err := handshake.ValidateRequest(r)
			a.Extensions = (&permessage.Deflate{Mode: permessage.NoContextTakeover, WindowBits: 9}).Answer(offer.Extensions)
			return err
		}, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_no_context_takeover; client_max_window_bits=9", 101},
		"another extension": {func(r *handshake.Request, a *handshake.ServerAnswer) error {
			a.Extensions = append(a.Extensions, handshake.Extension{Name: "foo"})
			return nil
		}, "", 500},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server.Server{Handler: styles["Message"](t), Compression: new(permessage.Deflate), Authorize: tt.authorize, Log: func(error) {}}
			url, _ := ways["listening"](t, s)
			t.Cleanup(func() { s.Shutdown(context.Background()) })
			c, err := client.Dial(t.Context(), url, &client.Config{Compression: new(permessage.Deflate)})
			var refused *client.HandshakeError
			if tt.status != 101 {
				if !errors.As(err, &refused) || refused.Response.Status != tt.status {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || c.Compression() != tt.want {
				t.Fatalf("agreed on %q, %v", c.Compression(), err)
			}
			defer c.CloseNow()
			echoed(t, c, texts()[:10])
		})
	}
}

// A Handshake of another party has the extensions of its response. Run ends a
// connection whose extensions the server does not have.
func TestHandshakeOfAnotherParty(t *testing.T) {
	for name, tt := range map[string]struct {
		compression server.Compression
		extensions  string
		want        string // in Run's error
	}{
		"agreed":      {new(permessage.Deflate), "permessage-deflate; client_no_context_takeover", ""},
		"none":        {new(permessage.Deflate), "", ""},
		"not set":     {nil, "permessage-deflate", "Server.Compression is not set"},
		"not legal":   {new(permessage.Deflate), "permessage-deflate; foo", "unknown"},
		"not the one": {new(permessage.Deflate), "foo", "is not permessage-deflate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server.Server{Handler: styles["Message"](t), Compression: tt.compression, Log: func(error) {}}
			ours, theirs := net.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ours, server.Handshake{Extensions: parse(t, tt.extensions)}) }()
			if tt.want != "" {
				if err := <-ended; err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Run returned %v", err)
				}
				return
			}
			cfg := endpoint.Config{Role: endpoint.Client}
			if tt.extensions != "" {
				cfg.Compression, _ = new(permessage.Deflate).Negotiated(parse(t, tt.extensions))
			}
			e := endpoint.New(theirs, cfg)
			go e.SendText(tick(1))
			buf := make([]byte, 1000)
			n, err := theirs.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if ev, _ := e.Receive(time.Time{}, buf[:n]); string(ev.Payload) != tick(1) || buf[0]&0x40 != 0 != (tt.extensions != "") {
				t.Errorf("echo %q, first byte %#x", ev.Payload, buf[0])
			}
			theirs.Close()
			<-ended
		})
	}
}

// SendUncompressed sends a message as it is, on both sides (T-B13, 7692-8-a),
// and so does the writer of a message.
func TestUncompressedMessages(t *testing.T) {
	s := &server.Server{Compression: new(permessage.Deflate), Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		c.SendUncompressed(op, p)
		m, _ := server.PrepareUncompressed(op, p)
		c.SendPrepared(m)
		w, _ := c.NextWriter(op)
		w.DisableCompression()
		w.Write(p)
		w.Close()
	}}}
	c := dial(t, "listening", s, client.Config{Compression: new(permessage.Deflate)})
	if err := c.SendUncompressed(wire.Text, []byte(tick(1))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if m, err := c.Receive(t.Context()); err != nil || m.Text() != tick(1) {
			t.Fatal(m.Text(), err)
		}
	}
	if st := s.Stats(); st.Received.Compressed != 0 || st.Sent.Compressed != 0 || st.Sent.Messages != 3 {
		t.Errorf("%+v", st)
	}
}

// A Receive that gives up in the middle of a compressed message loses nothing,
// also if the caller has a buffer with room.
func TestReceiveGivesUpInsideACompressedMessage(t *testing.T) {
	ours, theirs := net.Pipe()
	go accept(t, theirs)
	c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
		Compression: &permessage.Deflate{WindowBits: 15},
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	var noise bytes.Buffer
	for n := range 30_000 {
		fmt.Fprintf(&noise, "%d %x %d,", n*n, n*7919, n^0x5555)
	}
	want := noise.String()
	var wireBytes bytes.Buffer
	compression, _ := (&permessage.Deflate{WindowBits: 15}).Accepted(parse(t, "permessage-deflate"))
	e := endpoint.New(&wireBytes, endpoint.Config{Role: endpoint.Server, Compression: compression})
	if err := e.SendText(want); err != nil {
		t.Fatal(err)
	}
	frame := wireBytes.Bytes()
	buf := make([]byte, 0, 1<<20)
	for i, part := range [][]byte{frame[:100], frame[100 : len(frame)/2], frame[len(frame)/2:]} {
		written := make(chan struct{})
		go func() {
			theirs.Write(part)
			close(written)
		}()
		ctx, cancel := context.WithCancel(t.Context())
		if i < 2 {
			go func() {
				<-written
				cancel()
			}()
		}
		_, p, err := c.ReceiveInto(ctx, buf[:0])
		cancel()
		if i < 2 && !errors.Is(err, context.Canceled) {
			t.Fatalf("part %d: %v", i, err)
		}
		if i == 2 && (err != nil || string(p) != want) {
			t.Fatalf("got %d bytes, %v", len(p), err)
		}
	}
}

// accept answers the opening handshake on nc with compression.
func accept(t *testing.T, nc net.Conn) {
	var p handshake.RequestParser
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			t.Error(err)
			return
		}
		r, _, err := p.Parse(buf[:n])
		if err != nil {
			t.Error(err)
			return
		}
		if r == nil {
			continue
		}
		response, err := handshake.AppendResponse(nil, &handshake.ServerAnswer{Key: r.Header.Get("Sec-WebSocket-Key"), Extensions: []handshake.Extension{{Name: "permessage-deflate"}}})
		if err != nil {
			t.Error(err)
		}
		nc.Write(response)
		return
	}
}

// Messages that arrive compressed in a few reads, and are handled in several
// turns of their connection, are all delivered.
func TestManyMessagesInOneRead(t *testing.T) {
	const many = 300
	zeros := make([]byte, 64<<10)
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			var received int
			s := &server.Server{Compression: new(permessage.Deflate), Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				if received += len(p); op == wire.Text {
					c.SendText(fmt.Sprint(received))
				}
			}}}
			c := dial(t, way, s, client.Config{Compression: new(permessage.Deflate)})
			for range many {
				if err := c.Send(wire.Binary, zeros); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.SendText("last"); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprint(many*len(zeros) + len("last"))
			if m, err := c.Receive(t.Context()); err != nil || m.Text() != want {
				t.Errorf("%v, %v; want %s", m, err, want)
			}
		})
	}
}

// Named sockets compress by their client.Config.
func TestSockets(t *testing.T) {
	s := &server.Server{Handler: styles["Message"](t), Compression: new(permessage.Deflate)}
	url, _ := ways["listening"](t, s)
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	var set sockets.Set
	defer set.CloseAll(context.Background())
	if _, err := set.Connect(t.Context(), "a", url, &sockets.Options{Config: &client.Config{Compression: new(permessage.Deflate)}}); err != nil {
		t.Fatal(err)
	}
	if err := set.Send("a", tick(1)); err != nil {
		t.Fatal(err)
	}
	if m, err := set.Receive("a", 0); err != nil || m.Text() != tick(1) {
		t.Errorf("%v, %v", m, err)
	}
	if st := s.Stats(); st.Received.Compressed != 1 || st.Sent.Compressed != 1 {
		t.Errorf("%+v", st)
	}
}
