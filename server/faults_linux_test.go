package server_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// Faults of Linux.

// Small send buffers make every write of the server short, again and again. No
// bytes are lost or reordered (T-H02).
func TestShortWritesLoseNothing(t *testing.T) {
	t.Parallel()
	const messages = 12
	each(t, hiding, func(t *testing.T, hide func(net.Listener) net.Listener) {
		ln := listenTCP(t)
		narrowSends(t, ln.(*net.TCPListener))
		s := serve(t, &server.Server{Handler: server.Handler{Message: echo, Close: func(c *server.Conn, _ wire.StatusCode, _ string) {
			t.Logf("%v ended with %d bytes buffered: %v", c.RemoteAddr(), c.Buffered(), c.Err())
		}}}, hide(ln))
		relay, err := wstest.NewRelay(s.addr, func(n int) wstest.Plan {
			return wstest.Plan{ToClient: wstest.Faults{Split: wstest.RandomSizes(2000)}, Seed: uint64(n)}
		})
		check.Must(t, err)
		t.Cleanup(func() { relay.Close() })
		var clients sync.WaitGroup
		for n := range 4 {
			p := dialTCP(t, relay.Addr())
			p.send(request("/"))
			p.response()
			relay.Link(n).ToClient.Stall()
			p.meanwhile(func(p *peer) {
				for i := range messages {
					p.trySend(text(strings.Repeat(string(rune('a'+n)), 100_000+i)))
				}
			})
			clients.Go(func() {
				defer p.nc.Close()
				for i := range messages {
					p.want(fmt.Sprintf("text %d bytes", 100_000+i))
				}
			})
		}
		for n := range 4 {
			relay.Link(n).ToClient.Release()
		}
		clients.Wait()
	})
}

// narrowSends sets the smallest send buffer on the connections that ln accepts.
func narrowSends(t *testing.T, ln *net.TCPListener) {
	t.Helper()
	raw, err := ln.SyscallConn()
	check.Must(t, err)
	raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1)
	})
	check.Must(t, err)
}

// childOf holds a test's name in a child process that runs a test with faults
// of the whole process.
const childOf = "FIBERSOCK_TEST_CHILD"

// inChild runs a test again in a child process, and reports whether it runs in
// that process.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childOf) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout="+(2*patience).String())
	cmd.Env = append(os.Environ(), childOf+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A process without a free descriptor cannot accept. The server reports it,
// serves its connections, and accepts again later.
func TestServerOutlivesALackOfDescriptors(t *testing.T) {
	if !inChild(t) {
		return
	}
	eachLoop(t, func(t *testing.T, start starter) {
		goroutines, files := runtime.NumGoroutine(), usage.Files()
		t.Cleanup(func() { nothingLeft(t, goroutines, files) }) // the loop closes its descriptors after the last connection
		lacks := make(chan error, 1000)
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, Log: func(err error) { lacks <- err }})
		first := s.open(t)
		hog := takeDescriptors(t)
		hog[0].Close()
		hog = hog[1:]
		second := s.dial(t) // uses the last descriptor
		second.send(request("/"))
		for range 3 {
			if err := result(t, lacks); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("reported %v", err)
			}
		}
		first.echo("Hello")
		for _, f := range hog {
			f.Close()
		}
		second.response()
		for _, p := range []*peer{second, s.open(t)} {
			p.echo("Hello")
		}
	})
}

// takeDescriptors opens all descriptors that the process may still open.
func takeDescriptors(t *testing.T) (files []*os.File) {
	t.Helper()
	var old syscall.Rlimit
	check.Must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	few := old
	few.Cur = uint64(usage.Files() + 20)
	check.Must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	t.Cleanup(func() {
		for _, f := range files {
			f.Close()
		}
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	})
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return files
		}
		check.Must(t, err)
		files = append(files, f)
	}
}
