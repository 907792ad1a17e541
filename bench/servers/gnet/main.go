// Command gnet echoes with github.com/panjf2000/gnet/v2, which moves bytes, and
// github.com/gobwas/ws, which has the opening handshake and the frames: gnet
// has no WebSocket. Handlers run on the event loop.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gnet",
		Module: "github.com/panjf2000/gnet/v2",
		UTF8:   true,
		Loop:   "epoll",
		Notes: "frames: gobwas/ws " + serve.Version("github.com/gobwas/ws") +
			", unmasked in gnet's buffer; the replies to messages read together share one write; WithMulticore; a handler that blocks blocks its loop; broadcast: one frame and a loop of Write",
		NoTLS:     "gnet has no TLS",
		NoDeflate: "the compressor's state would stay with the connection: the server keeps gobwas/ws without it",
		NoTopics:  "neither library has topics, nor has the server",
		NoWork:    "the server has no handler that computes",
		Listen:    listen,
	})
}

// listen starts an engine. Its README and examples have WithMulticore: a loop
// for each processor of the process.
func listen(addr string, o serve.Options, ended func(error)) (listening string, err error) {
	s := &server{Options: o, booted: make(chan string, 1)}
	failed := make(chan error, 1)
	go func() {
		err := gnet.Run(s, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithLogger(silent{}))
		failed <- err
		ended(err)
	}()
	select {
	case listening = <-s.booted:
		return listening, nil
	case err := <-failed:
		return "", err
	}
}

// OnBoot tells listen the address.
func (s *server) OnBoot(e gnet.Engine) gnet.Action {
	address, err := addressOf(e)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return gnet.Shutdown
	}
	s.booted <- address
	return gnet.None
}

func addressOf(e gnet.Engine) (string, error) {
	fd, err := e.Dup()
	if err != nil {
		return "", err
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// silent is a logger of nothing: gnet's writes to standard output.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}
