package main

import (
	"net"
	"testing"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Each library exchanges a message and stays connected.
func TestLibrariesHoldConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	go s.Serve(ln)
	defer s.Shutdown(t.Context())
	for i, name := range names {
		if err := libraries[name].hold("ws://" + ln.Addr().String() + "/"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if stats := s.Stats(); stats.Open != int64(i+1) || stats.Received.Messages != uint64(i+1) {
			t.Errorf("%s: %d connections and %d messages", name, stats.Open, stats.Received.Messages)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
