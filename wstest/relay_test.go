package wstest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wstest"
)

const patience = 30 * time.Second

// relayed returns both ends of a TCP connection through a relay.
func relayed(t *testing.T, plan wstest.Plan) (client, server *net.TCPConn, r *wstest.Relay) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r, err = wstest.NewRelay(ln.Addr().String(), func(int) wstest.Plan { return plan })
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	client, server = nc.(*net.TCPConn), accept(t, ln).(*net.TCPConn)
	for _, nc := range []net.Conn{client, server} {
		nc.SetDeadline(time.Now().Add(patience))
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		r.Close()
	})
	return client, server, r
}

// readAll reads until the end, and returns it, nil if it is an orderly one.
func readAll(nc net.Conn) (string, error) {
	b, err := io.ReadAll(nc)
	return string(b), err
}

// wantReset fails if err is not that of a connection that was reset.
func wantReset(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v, want a reset", err)
	}
}

func TestRelayCarriesBytesBothWays(t *testing.T) {
	for _, f := range []wstest.Faults{{}, {Buffer: 100, Split: wstest.RandomSizes(50)}} {
		client, server, r := relayed(t, wstest.Plan{ToServer: f, ToClient: f})
		want := strings.Repeat("0123456789", 1000)
		for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
			go func() {
				io.WriteString(way[0], want)
				way[0].CloseWrite()
			}()
			if got, err := readAll(way[1]); got != want || err != nil {
				t.Errorf("%d bytes came, and %v", len(got), err)
			}
		}
		if n := r.Link(0).ToClient.Read(); n != int64(len(want)) {
			t.Errorf("%d bytes are said to have come", n)
		}
	}
}

func TestRelayCuts(t *testing.T) {
	t.Run("reset", func(t *testing.T) {
		client, server, _ := relayed(t, wstest.Plan{ToServer: wstest.Faults{Cut: wstest.ResetAt(3)}})
		write(t, client, "abcdef")
		got, err := readAll(server)
		wantReset(t, err)
		if !strings.HasPrefix("abc", got) {
			t.Errorf("read %q", got)
		}
		_, err = readAll(client)
		wantReset(t, err)
	})
	t.Run("end", func(t *testing.T) {
		client, server, _ := relayed(t, wstest.Plan{ToClient: wstest.Faults{Cut: wstest.EndAt(3)}})
		write(t, server, "abcdef")
		if got, err := readAll(client); got != "abc" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		write(t, client, "the other way")
		read(t, server, "the other way")
	})
	t.Run("stall", func(t *testing.T) {
		client, server, r := relayed(t, wstest.Plan{ToClient: wstest.Faults{Cut: wstest.StallAt(3)}})
		write(t, server, "abcdef")
		read(t, client, "abc")
		r.Link(0).ToClient.Release()
		read(t, client, "def")
	})
}

// A relay forwards bytes, half-closes and resets.
func TestRelayPassesEndsOn(t *testing.T) {
	t.Run("reset by the client", func(t *testing.T) {
		client, server, _ := relayed(t, wstest.Plan{})
		client.SetLinger(0)
		client.Close()
		_, err := readAll(server)
		wantReset(t, err)
	})
	t.Run("close by the server", func(t *testing.T) {
		client, server, _ := relayed(t, wstest.Plan{})
		server.Close()
		if _, err := readAll(client); err != nil {
			t.Error(err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		r, err := wstest.NewRelay(tcpserver.Refusing(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		client, err := net.Dial("tcp", r.Addr())
		if err == nil { // it may be reset as soon as that
			defer client.Close()
			client.SetDeadline(time.Now().Add(patience))
			_, err = readAll(client)
		}
		wantReset(t, err)
	})
}

// A relay can be closed with connections that are idle, stalled or full.
func TestRelayCloses(t *testing.T) {
	plans := map[string]wstest.Plan{
		"idle":    {},
		"stalled": {ToServer: wstest.Faults{Cut: wstest.StallAt(1)}},
		"slow":    {ToServer: wstest.Faults{Latency: 24 * time.Hour}},
		"full":    {ToServer: wstest.Faults{Buffer: 10}},
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			client, _, r := relayed(t, plan)
			filled := make(chan struct{})
			go func() {
				defer close(filled)
				client.Write(make([]byte, 10<<20))
			}()
			link := r.Link(0)
			if name == "full" {
				link.ToServer.Stall()
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			<-filled
			if r.Link(1) != nil {
				t.Error("there is a link that nobody dialed")
			}
		})
	}
}
