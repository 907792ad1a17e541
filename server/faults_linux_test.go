package server_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wstest"
)

// Faults that are Linux's.

// Where the system has little room to send from, every write of the server comes up
// short and waits, again and again; nothing is lost or mixed up (T-H02).
func TestShortWritesLoseNothing(t *testing.T) {
	const messages = 12
	starters := map[string]func(ln net.Listener) net.Listener{
		"goroutines": func(ln net.Listener) net.Listener { return plainListener{ln} },
		"system's":   func(ln net.Listener) net.Listener { return ln },
	}
	for name, hide := range starters {
		t.Run(name, func(t *testing.T) {
			ln := listenTCP(t)
			narrowSends(t, ln.(*net.TCPListener))
			s := serve(t, &server.Server{Handler: server.Handler{Message: echo}}, hide(ln))
			relay, err := wstest.NewRelay(s.addr, func(n int) wstest.Plan {
				return wstest.Plan{ToClient: wstest.Faults{Split: wstest.RandomSizes(2000)}, Seed: uint64(n)}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { relay.Close() })
			var clients sync.WaitGroup
			for n := range 4 {
				nc, err := net.Dial("tcp", relay.Addr())
				if err != nil {
					t.Fatal(err)
				}
				p := newPeer(t, nc)
				p.send(request("/"))
				p.response()
				relay.Link(n).ToClient.Stall()
				p.meanwhile(func(p *peer) {
					for i := range messages {
						p.trySend(text(strings.Repeat(string(rune('a'+n)), 100_000+i)))
					}
				})
				clients.Go(func() {
					defer nc.Close()
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
}

// narrowSends makes the system keep as little as it can of what is sent by what ln
// accepts.
func narrowSends(t *testing.T, ln *net.TCPListener) {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// childOf is set, to a test's name, in the process of its own in which that test
// runs what the others shall not feel.
const childOf = "FIBERSOCK_TEST_CHILD"

// inChild runs a test again, in another process, and reports whether this is that
// process.
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

// A process without a descriptor left cannot accept: the server says so, goes on
// with the connections there are, and accepts again when it can.
func TestServerOutlivesALackOfDescriptors(t *testing.T) {
	if !inChild(t) {
		return
	}
	eachLoop(t, func(t *testing.T, start starter) {
		lacks := make(chan error, 1000)
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, Log: func(err error) { lacks <- err }})
		first := s.open(t)
		hog := takeDescriptors(t)
		hog[0].Close()
		hog = hog[1:]
		second := s.dial(t) // takes the last one
		second.send(request("/"))
		for range 3 {
			if err := result(t, lacks); !errors.Is(err, syscall.EMFILE) {
				t.Errorf("reported %v", err)
			}
		}
		first.send(text("Hello"))
		first.want(`text "Hello"`)
		for _, f := range hog {
			f.Close()
		}
		second.response()
		for _, p := range []*peer{second, s.open(t)} {
			p.send(text("Hello"))
			p.want(`text "Hello"`)
		}
	})
}

// takeDescriptors takes all that the process may still have.
func takeDescriptors(t *testing.T) (files []*os.File) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = uint64(usage.Files() + 20)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
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
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
}

// The same over a listener that is told to fail: the server waits longer from one
// failure to the next, at most a second, and is back when they are over.
func TestServerWaitsOutALackOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := wstest.Listen(nil)
		var lacks int
		serve(t, &server.Server{Handler: server.Handler{Message: echo}, Log: func(err error) {
			if !errors.Is(err, syscall.EMFILE) {
				t.Errorf("reported %v", err)
			}
			lacks++
		}}, ln)
		first, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		p := wstest.NewClient(first)
		if err := p.Play("open /"); err != nil {
			t.Fatal(err)
		}
		const script = `
			send text "Hello"
			expect text "Hello"
		`
		var faults []error
		for range 20 {
			faults = append(faults, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)})
		}
		ln.FailAccept(faults...)
		second, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Play(script); err != nil {
			t.Error(err)
		}
		late := wstest.NewClient(second)
		late.Timeout = 20 * time.Second
		if err := late.Play("open /" + script); err != nil {
			t.Error(err)
		}
		if lacks != len(faults) {
			t.Errorf("reported %d times", lacks)
		}
		first.Close()
		second.Close()
	})
}
