package server_test

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// A broadcast reaches all open connections, in the order of the calls.
func TestBroadcastReachesAll(t *testing.T) {
	t.Parallel()
	const clients, messages = 20, 50
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		var peers []*peer
		for range clients {
			peers = append(peers, s.open(t))
			rec.conn()
		}
		gone, half := s.open(t), s.dial(t)
		rec.conn()
		gone.nc.Close() // no error, whether the server has noticed it or not
		half.send(request("/")[:20])
		for i := range messages {
			check.Must(t, s.Broadcast(wire.Text, fmt.Append(nil, i)))
		}
		for _, p := range peers {
			for i := range messages {
				p.want(fmt.Sprintf(`text "%d"`, i))
			}
		}
	})
}

// The function Broadcast sends to the given connections, and so does
// BroadcastPrepared.
func TestBroadcastToSome(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		var peers []*peer
		var conns []*server.Conn
		for range 4 {
			peers = append(peers, s.open(t))
			conns = append(conns, rec.conn())
		}
		prepared, err := server.Prepare(wire.Binary, []byte("prepared"))
		check.Must(t, err)
		check.Must(t, server.Broadcast(slices.Values(conns[:2]), wire.Binary, []byte("some")))
		server.BroadcastPrepared(slices.Values(conns[:2]), prepared)
		check.Must(t, s.Broadcast(wire.Binary, []byte("all")))
		s.BroadcastPrepared(prepared)
		for i, p := range peers {
			if i < 2 {
				p.want(`binary "some"`, `binary "prepared"`)
			}
			p.want(`binary "all"`, `binary "prepared"`)
		}
	})
}

// Messages sent to a connection after a broadcast, and a Close, follow the
// broadcast.
func TestBroadcastPrecedesLaterMessages(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		for range 20 {
			c, p, _ := opened(t, start, &server.Server{})
			all := only(c)
			broadcast := func(s string) {
				check.Must(t, server.Broadcast(all, wire.Text, []byte(s)))
			}
			broadcast("1")
			c.SendText("2")
			broadcast("3")
			broadcast("4")
			c.SendFragment(wire.Text, []byte("5"), false)
			broadcast("7") // is queued until the message ends
			c.SendFragment(wire.Text, []byte("6"), true)
			broadcast("8")
			c.Close(1000, "")
			broadcast("too late")
			p.want(`text "1"`, `text "2"`, `text "3"`, `text "4"`, `text "5" +`, `continuation "6"`, `text "7"`, `text "8"`)
			p.wantClose(`close 1000 ""`, closing(1000, ""))
		}
	})
}

// A broadcast is refused if no single connection could send it (6455-5.6-c).
func TestInvalidBroadcastIsRefused(t *testing.T) {
	s := new(server.Server)
	if err := s.Broadcast(wire.Text, []byte("\xff")); !errors.Is(err, wire.ErrInvalidUTF8) {
		t.Errorf("invalid UTF-8: %v", err)
	}
	for _, op := range []wire.Opcode{wire.Continuation, wire.Close, wire.Ping, wire.Pong, 3} {
		if err := s.Broadcast(op, nil); err != server.ErrNotData {
			t.Errorf("%v: %v", op, err)
		}
	}
	check.OK(t, s.Broadcast(wire.Text, []byte("to nobody")))
}

// A client that does not read delays no other client, and is aborted when its
// backlog is full (T-C09).
func TestStalledReceiverOfBroadcastsIsCutByItsBacklog(t *testing.T) {
	t.Parallel()
	const clients, messages, size = 20, 100, 1000
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		ln := wstest.Listen(nil)
		s := serve(t, &server.Server{Handler: rec.handler(), MaxBacklog: 10 * size, WriteTimeout: -1}, ln)
		s.dialer = func() (net.Conn, error) { return ln.Dial() }
		s.open(t) // does not read any further
		stalled := rec.conn()
		var peers []*peer
		for range clients - 1 {
			peers = append(peers, s.open(t))
			rec.conn()
		}
		start := time.Now()
		for range messages {
			check.Must(t, s.Broadcast(wire.Binary, make([]byte, size)))
			for _, p := range peers {
				p.want("binary 1000 bytes")
			}
		}
		if took := time.Since(start); took > 10*time.Millisecond { // until the server notices that one client does not read
			t.Errorf("the other clients waited %v", took)
		}
		synctest.Wait()
		var backlog *server.BacklogError
		if err := stalled.Err(); !isA[*server.LostError](err) || !errors.As(err, &backlog) || backlog.Max != 10*size || !strings.Contains(err.Error(), "exceeds MaxBacklog (10000)") {
			t.Errorf("the stalled one: %v", err)
		}
		if err := stalled.SendText("late"); err != stalled.Err() {
			t.Errorf("SendText returned %v", err)
		}
	})
}

// A broadcast may exceed the backlog of a client without buffered output.
func TestBroadcastLargerThanTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, rec := recorded(t, served, &server.Server{MaxBacklog: 10})
		p := s.open(t)
		rec.conn()
		for range 3 {
			s.Broadcast(wire.Binary, make([]byte, 1000))
			p.want("binary 1000 bytes")
			synctest.Wait()
		}
	})
}

// only yields one connection.
func only(c *server.Conn) iter.Seq[*server.Conn] { return slices.Values([]*server.Conn{c}) }
