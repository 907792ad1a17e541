package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// unreliable returns a server whose first connections end with the first
// message: without a Close, with 1001, with 1000. A later one replies.
func unreliable() *server.Server {
	var number atomic.Int32
	return &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		switch number.Add(1) {
		case 1:
			c.CloseNow()
		case 2:
			c.Close(wire.GoingAway, "restart")
		case 3:
			c.Send(op, append([]byte("again: "), p...))
			c.Close(wire.NormalClosure, "enough")
		}
	}}}
}

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := inMemory(t, t.Context(), unreliable(), 5*time.Second, strings.NewReader(""), "-reconnect", "-x", "hello", "-wait", "-1s")
		if r.code != exitOK || r.out != "again: hello\n" {
			t.Errorf("%+v", r)
		}
		for _, want := range []string{"connection refused; next try in ", "without a closing handshake: EOF; next try in ", `1001 (going away): "restart"; next try in `, "connected again"} {
			if !strings.Contains(r.err, want) {
				t.Errorf("%q is missing in\n%s", want, r.err)
			}
		}
	})
}

func TestReconnectInJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := inMemory(t, t.Context(), unreliable(), time.Millisecond, strings.NewReader(""), "-reconnect", "-json", "-x", "hello", "-wait", "-1s")
		var types []string
		for _, e := range events(t, r.out) {
			types = append(types, e["type"].(string))
			if ms, ok := e["ms"].(float64); e["type"] == "retry" && (!ok || ms < 0 || e["error"] == "") {
				t.Errorf("%v", e)
			}
		}
		want := "retry open text close retry open text close retry open text text close"
		if got := strings.Join(types, " "); got != want || r.code != exitOK {
			t.Errorf("%s, want %s; %+v", got, want, r)
		}
	})
}

func TestReconnectEndsWhenItIsPointless(t *testing.T) {
	for _, c := range []struct {
		name string
		s    *server.Server
		args string
		code exitCode
		err  string
	}{
		{"refused", &server.Server{Authorize: func(*handshake.Request, *handshake.ServerAnswer) error { return &handshake.Error{Status: 403} }}, "", exitRefused, "403"},
		{"no subprotocol", echoServer(), "-subprotocol x", exitRefused, "-subprotocol"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := inMemory(t, t.Context(), c.s, time.Second, strings.NewReader(""), append(strings.Fields(c.args), "-reconnect")...)
			if r.code != c.code || !strings.Contains(r.err, c.err) {
				t.Errorf("%s: %+v, want exit code %d, %q", c.name, r, c.code, c.err)
			}
		})
	}
}

func TestEndOfInputAndInterruptInAnOutage(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(input *io.PipeWriter, interrupt func())
		code exitCode
	}{
		{"end of input", func(input *io.PipeWriter, _ func()) { input.Close() }, exitOK},
		{"interrupt", func(_ *io.PipeWriter, interrupt func()) { interrupt() }, exitInterrupted},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			input, pipe := io.Pipe()
			defer pipe.Close()
			var conns atomic.Int32
			s := &server.Server{Handler: server.Handler{Open: func(conn *server.Conn) {
				conns.Add(1)
				conn.Close(wire.TryAgainLater, "") // the next try is 5 seconds later
			}}}
			go func() {
				time.Sleep(time.Second)
				c.end(pipe, interrupt)
			}()
			r, duration := inMemory(t, ctx, s, 0, input, "-reconnect", "-wait", "0s")
			if r.code != c.code || conns.Load() != 1 || duration != time.Second {
				t.Errorf("%s: %+v after %v and %d connections", c.name, r, duration, conns.Load())
			}
		})
	}
}

func TestCommandsInAnOutage(t *testing.T) {
	var notes bytes.Buffer
	s := newSession(&link{ready: make(chan struct{})}, &output{std: streams{out: &notes, err: &notes}}, newConnectOptions())
	for _, command := range []string{"state", "ping", "ping x", "pong"} {
		notes.Reset()
		if e := s.command(command); e != nil || notes.String() != "not connected\n" {
			t.Errorf("/%s: %v, %q", command, e, notes.String())
		}
	}
	close(s.done)
	if e := s.command("text x"); e != nil { // it does not wait
		t.Errorf("%v", e)
	}
}

// A line that is entered in an outage is sent on the next connection.
func TestInputInAnOutageIsSentAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		input, pipe := io.Pipe()
		var conns atomic.Int32
		s := echoServer()
		s.Handler.Open = func(conn *server.Conn) {
			if conns.Add(1) == 1 {
				conn.Close(wire.TryAgainLater, "")
			}
		}
		go func() {
			time.Sleep(time.Second)
			io.WriteString(pipe, "late\n")
		}()
		r, duration := inMemory(t, t.Context(), s, 0, input, "-reconnect", "-expect", "1")
		if r.code != exitOK || r.out != "late\n" || duration < 5*time.Second {
			t.Errorf("%+v after %v", r, duration)
		}
		pipe.Close()
	})
}

// With -reconnect, a server that answers no Ping is replaced.
func TestReconnectAfterAMissingPong(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		accept(nc, r)
		if conns.Add(1) > 1 {
			nc.Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text}, []byte("here")))
		}
		awaitClose(r)
		nc.Write(closeFrame(wire.NormalClosure, ""))
	})
	r := runWith(t, strings.NewReader(""), "connect", "-reconnect", "-ping", "50ms", "-until", "here", "-wait", "-1s", "ws://"+addr)
	if r.code != exitOK || r.out != "here\n" || !strings.Contains(r.err, "no Pong") {
		t.Errorf("%+v", r)
	}
}
