//go:build !portable

package server

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A handler that blocks does not block its loop. It is counted only while it
// runs.
func TestBlockedHandlersAreCountedWhileTheyRun(t *testing.T) {
	const clients = 10
	release := make(chan struct{})
	var blocked, done sync.WaitGroup
	blocked.Add(clients)
	done.Add(clients)
	s := &Server{Handler: Handler{Message: func(*Conn, wire.Opcode, []byte) {
		blocked.Done()
		<-release
		done.Done()
	}}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	served := make(chan error)
	var clientEnds []net.Conn
	go func() { served <- s.Serve(ln) }()
	for range clients {
		nc, err := net.Dial("tcp", ln.Addr().String())
		check.Must(t, err)
		clientEnds = append(clientEnds, nc)
		nc.Write([]byte(upgradeRequests["minimal"]))
		nc.Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Binary, Masked: true}, nil))
	}
	blocked.Wait() // all handlers run at the same time
	pollers := runtime.GOMAXPROCS(0)
	if n := s.Stats().Blocked; n < int64(clients-pollers) || n > clients {
		t.Errorf("%d of %d handlers are blocked, on %d pollers", n, clients, pollers)
	}
	close(release)
	done.Wait()
	for range 1000 {
		if s.Stats().Blocked == 0 {
			break
		}
		time.Sleep(time.Millisecond) // there is no event for that
	}
	if n := s.Stats().Blocked; n != 0 {
		t.Errorf("%d handlers are blocked after all have returned", n)
	}
	for _, nc := range clientEnds {
		nc.Close()
	}
	check.OK(t, s.Shutdown(t.Context()))
	<-served
}

// Messages of a blocked handler are sent before it returns, also if so many
// block that it keeps its poller.
func TestMessagesOfABlockedHandlerAreSent(t *testing.T) {
	const clients = 4
	release := make(chan struct{})
	s := &Server{MaxBlocked: 1, Handler: Handler{Message: func(c *Conn, _ wire.Opcode, _ []byte) {
		c.SendText("before")
		<-release
	}}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	var ends []net.Conn
	for range clients {
		nc, err := net.Dial("tcp", ln.Addr().String())
		check.Must(t, err)
		nc.Write([]byte(upgradeRequests["minimal"]))
		nc.SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, err := nc.Read(make([]byte, 1000)); err != nil || n == 0 {
			t.Fatal(err)
		}
		ends = append(ends, nc)
	}
	pollers := runtime.GOMAXPROCS(0)
	for i := range min(clients, pollers+1) {
		ends[i].Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Binary, Masked: true}, nil))
		b := make([]byte, 100)
		if n, err := ends[i].Read(b); err != nil || string(b[2:n]) != "before" {
			t.Fatalf("client %d of a server with %d pollers read %q and %v", i, pollers, b[:n], err)
		}
	}
	close(release)
	for _, nc := range ends {
		nc.Close()
	}
	check.OK(t, s.Shutdown(t.Context()))
	<-served
}
