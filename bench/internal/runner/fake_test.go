package runner

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/fibersock/fibersock/bench/internal/report"
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestMain makes this binary a server, or a fake of one, if its name is that of
// a server.
func TestMain(m *testing.M) {
	if fake, ok := fakes[filepath.Base(os.Args[0])]; ok {
		fake()
		return
	}
	os.Exit(m.Run())
}

// fakes are servers by the name of their binary, right ones and wrong ones.
var fakes = map[string]func(){
	"right": func() { echoServer("right", "goroutines", func(p []byte) []byte { return p }) },
	"twin":  func() { echoServer("twin", "goroutines", func(p []byte) []byte { return p }) },
	"other": func() { echoServer("other", "epoll", func(p []byte) []byte { return p }) },
	"liar": func() {
		echoServer("liar", "goroutines", func(p []byte) []byte { return make([]byte, len(p)) })
	},
	"shortens": func() { echoServer("shortens", "goroutines", func(p []byte) []byte { return p[:len(p)/2] }) },
	"panics": func() {
		echoServer("panics", "goroutines", func([]byte) []byte {
			fmt.Fprintln(os.Stderr, "panics: out of ideas")
			os.Exit(2)
			return nil
		})
	},
	"unable": func() {
		serve.Main(serve.Peer{Name: "unable", NoDeflate: "it never learned to", Serve: func(ln net.Listener, _ serve.Options) error {
			return (&server.Server{}).Serve(ln)
		}})
	},
	"older": func() { // an earlier commit's, which has no flag -takeover
		for _, arg := range os.Args[1:] {
			if arg == "-takeover" {
				fmt.Fprintln(os.Stderr, "flag provided but not defined: -takeover\nUsage of older:")
				os.Exit(1)
			}
		}
		echoServer("older", "goroutines", func(p []byte) []byte { return p })
	},
	"silent": func() { // accepts, and answers nothing but the opening handshake
		serve.Main(serve.Peer{Name: "silent", Serve: func(ln net.Listener, _ serve.Options) error {
			return (&server.Server{}).Serve(ln)
		}})
	},
	"compresses": func() {
		serve.Main(serve.Peer{Name: "compresses", Serve: func(ln net.Listener, _ serve.Options) error {
			s := &server.Server{Compression: &permessage.Deflate{Mode: permessage.NoContextTakeover}}
			s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) { _ = c.Send(op, p) }
			return s.Serve(ln)
		}})
	},
	"mute":    func() {},
	"babbles": func() { fmt.Println("welcome to my server") },
	"refuses": func() {
		fmt.Fprintln(os.Stderr, "refuses: no port is good enough")
		os.Exit(1)
	},
}

// echoServer answers each message with the result of reply.
func echoServer(name, loop string, reply func([]byte) []byte) {
	serve.Main(serve.Peer{Name: name, Loop: loop, UTF8: true, Serve: func(ln net.Listener, _ serve.Options) error {
		s := &server.Server{}
		s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) { _ = c.Send(op, reply(p)) }
		return s.Serve(ln)
	}})
}

// fakePeers returns peers with these fakes for servers.
func fakePeers(t *testing.T, names ...string) []*peer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var peers []*peer
	for _, name := range names {
		p := newPeer(report.Library, name, "")
		p.path = filepath.Join(dir, name)
		if err := os.Symlink(self, p.path); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	return peers
}
