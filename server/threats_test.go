package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Repeated fields are joined if they are lists, and refused if another reader
// could use the other value (T-D15, T-F05).
func TestRepeatedFields(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Subprotocols: []string{"b"}})
		for _, tt := range []struct {
			name   string
			lines  []string
			status int
		}{
			{"Host", []string{"Host: server.example"}, 400},
			{"Host, another", []string{"host: evil.example"}, 400},
			{"Upgrade", []string{"Upgrade: websocket"}, 101},
			{"Connection", []string{"Connection: keep-alive"}, 101},
			{"Sec-WebSocket-Key", []string{"SEC-WEBSOCKET-KEY: " + sampleKey}, 400},
			{"Sec-WebSocket-Version", []string{"Sec-WebSocket-Version: 13"}, 400},
			{"Sec-WebSocket-Protocol", []string{"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"}, 101},
			{"Sec-WebSocket-Extensions", []string{"Sec-WebSocket-Extensions: x", "Sec-WebSocket-Extensions: y"}, 101},
			{"Origin", []string{"Origin: http://server.example", "Origin: http://server.example"}, 400},
			{"Origin, another", []string{"Origin: http://server.example", "Origin: http://evil.example"}, 400},
			{"Content-Length of zero", []string{"Content-Length: 0", "Content-Length: 0"}, 101},
			{"Content-Length, another", []string{"Content-Length: 0", "Content-Length: 6"}, 400},
			{"Content-Length in a list", []string{"Content-Length: 0, 6"}, 400},
			{"Content-Length with a sign", []string{"Content-Length: +0"}, 400},
			{"Content-Length and Transfer-Encoding", []string{"Content-Length: 0", "Transfer-Encoding: chunked"}, 400},
			{"Transfer-Encoding, hidden", []string{"Transfer-Encoding: \tidentity, chunked"}, 400},
		} {
			t.Run(tt.name, func(t *testing.T) {
				p := s.ask(t, request("/", tt.lines...))
				if tt.status != 101 {
					checkRefused(t, p, tt.status)
					return
				}
				p.wantStatus(101)
			})
		}
	})
}

// T-H06, T-F12: the report of a refusal is one line without control characters
// and without the client's tokens, for any request.
func TestReportsOfRefusalsCannotBeWrittenByClients(t *testing.T) {
	t.Parallel()
	evil := "x\x1b[2J\u009b31m\u202e\u2028\x00\x07y"
	field := "x\u009b31m\u202e\u2028\xff\"y" // any valid field value
	requests := map[string]string{
		"method":           "GET" + evil + " / HTTP/1.1\r\n\r\n",
		"target":           "GET /" + evil + " HTTP/1.1\r\n\r\n",
		"version":          "GET / HTTP/" + evil + "\r\n\r\n",
		"field name":       "GET / HTTP/1.1\r\n" + evil + ": x\r\n\r\n",
		"field value":      "GET / HTTP/1.1\r\nX: " + evil + "\r\n\r\n",
		"Host":             strings.Replace(request("/"), "Host: ", "Host: "+field, 1),
		"Upgrade":          strings.Replace(request("/"), "Upgrade: websocket", "Upgrade: "+field, 1),
		"Connection":       strings.Replace(request("/"), "Connection: Upgrade", "Connection: "+field, 1),
		"key":              strings.Replace(request("/"), "Key: ", "Key: "+field, 1),
		"protocol version": strings.Replace(request("/"), "Version: 13", "Version: "+field, 1),
		"subprotocol":      request("/", "Sec-WebSocket-Protocol: "+field),
		"extension":        request("/", "Sec-WebSocket-Extensions: "+field),
		"Origin":           request("/", "Origin: "+field),
		"Content-Length":   request("/", "Content-Length: "+field),
		"Expect":           request("/", "Expect: "+field),
		"a long field":     request("/", "Origin: http://"+strings.Repeat("\xff", 60_000)),
		"a token":          strings.Replace(request("/ws?token=SECRET", "Sec-WebSocket-Protocol: bearer, SECRET=", "Cookie: SECRET"), "GET", "PUT", 1),
		"a bad token":      request("/ws?token=SECRET", "Sec-WebSocket-Protocol: bearer, SECRET=", "Cookie: SECRET"),
		"a token, no path": request("ws?token=SECRET"),
	}
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, new(server.Server))
		for name, request := range requests {
			t.Run(name, func(t *testing.T) {
				p := s.ask(t, request)
				check.OK(t, check.Err(p.rest()))
				refused := takeOne[*server.RefusedError](t, s.log)
				if refused == nil {
					return
				}
				text := refused.Error()
				for _, r := range text {
					if r < ' ' || r > '~' {
						t.Fatalf("%q in the report %q", r, text)
					}
				}
				if strings.Contains(text, "SECRET") || len(text) > 600 || !strings.HasPrefix(text, "websocket: ") ||
					name == "Origin" && !strings.Contains(text, `Origin "x\u009b31m\u202e`) {
					t.Errorf("the report is %q", text)
				}
			})
		}
	})
}

// T-F07: a server that names its hosts cannot be reached by DNS rebinding.
func TestRequestForAnotherHostIsRefused(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Hosts: []string{"server.example"}})
		s.openAs(t, "/", "Origin: http://server.example")
		p := s.ask(t, strings.Replace(request("/", "Origin: http://evil.example:8080"), "server.example", "evil.example:8080", 1))
		checkRefused(t, p, 421)
	})
}

// T-H04: invalid codes are answered with 1002. They are neither sent back nor
// reported as the client's.
func TestInvalidCloseCodesAreNotSentBack(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
			p := s.open(t)
			p.send(frame(wire.Close, string(binary.BigEndian.AppendUint16(nil, code))+"reason"))
			f, err := p.next()
			if err != nil || f.Opcode != wire.Close || len(f.Payload) < 2 || binary.BigEndian.Uint16(f.Payload) != 1002 || strings.Contains(string(f.Payload), "reason") {
				t.Errorf("%d was answered with %s, %v", code, show(f), err)
			}
			p.wantEnd()
			rec.want("open", "failed 1002", `close 1006 ""`)
		}
	})
}

// T-C05: a control frame is sent with exactly the bytes of its payload.
func TestControlPayloadIsSentUnchanged(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		array := make([]byte, 200)
		for n := range array {
			err, pong := c.SendPing(array[:n]), c.SendPong(array[:n])
			if tooLong := n > 125; (err != nil) != tooLong || (pong != nil) != tooLong {
				t.Fatalf("%d bytes: %v, %v", n, err, pong)
			}
			if n > 125 {
				continue
			}
			for range 2 {
				if f, err := p.next(); err != nil || string(f.Payload) != string(array[:n]) {
					t.Fatalf("%d bytes: received %s, %v", n, show(f), err)
				}
			}
		}
	})
}

// T-C16: clients that send at line rate do not starve other clients.
func TestBusyClientsStarveNobody(t *testing.T) {
	t.Parallel()
	const busy, quiet, rounds = 2, 20, 5
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if len(p) > 0 {
				c.Send(op, p)
			}
		}}})
		flood := strings.Repeat(text(""), 10_000)
		for range busy {
			s.open(t).meanwhile(func(p *peer) {
				for p.trySend(flood) == nil {
				}
			})
		}
		peers := make([]*peer, quiet)
		for i := range peers {
			peers[i] = s.open(t)
		}
		var slowest time.Duration
		for round := range rounds {
			for i, p := range peers {
				began := time.Now()
				p.send(text(fmt.Sprint(round, i)))
				p.want(fmt.Sprintf("text %q", fmt.Sprint(round, i)))
				slowest = max(slowest, time.Since(began))
			}
		}
		if slowest > 5*time.Second {
			t.Errorf("one answer took %v", slowest)
		}
	})
}

// T-F11: the application ends the connections of one user, and no others, with
// a code that tells the client the reason.
func TestConnectionsOfOneUserCanBeEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{
			Open:    func(c *server.Conn) { c.SetValue(c.Header().Get("X-User")) },
			Message: echo,
		}})
		var kim, lee []*peer
		for range 3 {
			kim = append(kim, s.openAs(t, "/", "X-User: kim"))
			lee = append(lee, s.openAs(t, "/", "X-User: lee"))
		}
		for _, p := range append(kim, lee...) { // all are open for the application
			p.echo("Hello")
		}
		for c := range s.Conns() {
			if c.Value() == "kim" {
				c.Close(3000, "signed out")
			}
		}
		for _, p := range kim {
			p.want(`close 3000 "signed out"`)
		}
		for _, p := range lee {
			p.echo("still here")
		}
	})
}

// T-C19: a client that sends only Pings is alive and idle. The application can
// check the time of the last message, and close.
func TestPingsAreNoMessages(t *testing.T) {
	const patient = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		h := server.Handler{Serve: func(c *server.Conn) {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), patient)
				m, err := c.Receive(ctx)
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					c.Close(wire.PolicyViolation, "idle")
					return
				}
				if err != nil {
					return
				}
				c.Send(m.Opcode, m.Payload)
			}
		}}
		p := served(t, &server.Server{Handler: h}).open(t)
		p.echo("Hello")
		timed(t, "closed", patient, func() {
			for {
				check.Must(t, p.trySend(frame(wire.Ping, "")))
				if f, err := p.next(); err != nil || f.Opcode == wire.Close {
					if show(f) != `close 1008 "idle"` {
						t.Errorf("received %s, %v", show(f), err)
					}
					return
				}
				time.Sleep(time.Second)
			}
		})
		p.send(closing(wire.PolicyViolation, ""))
		if _, err := p.rest(); err != nil { // perhaps with a Pong for the last Ping
			t.Error(err)
		}
	})
}

// T-D20: Authorize is called for each request before its upgrade, with the
// unchanged request and the path that selects the handler.
func TestAuthorizeSeesTheServedRequest(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		reached := make(chan string, 100)
		handler := &server.Handler{Open: func(c *server.Conn) { reached <- c.Path() }}
		s := start(t, &server.Server{
			Handlers: map[string]*server.Handler{"/public": handler, "/private": handler},
			Authorize: func(r *handshake.Request, _ *handshake.ServerAnswer) error {
				if r.Path() != "/public" {
					return &handshake.Error{Status: 401}
				}
				return nil
			},
		})
		for target, accepted := range map[string]bool{
			"/public": true, "/public?/private": true, "http://server.example/public": true,
			"/private": false, "/private?/public": false, "http://server.example/private": false, "//private": false, "/public/../private": false,
			"/%70rivate": false, "/private/": false, "/private;x": false, "/PRIVATE": false,
		} {
			p := s.dial(t)
			p.send(request(target), frame(wire.Close, "")) // which ends an open connection
			if all, err := p.rest(); err != nil || strings.HasPrefix(string(all), "HTTP/1.1 101 ") != accepted {
				t.Errorf("%s: %.60q, %v", target, all, err)
			}
		}
		close(reached)
		for path := range reached {
			if path != "/public" {
				t.Errorf("%s was reached", path)
			}
		}
	})
}

// T-A01, T-A02, T-A03, T-A04, T-A13: every length above the limit fails the
// connection at the header, without delivery, in one frame and in fragments.
func TestHugeLengthsFailAtTheHeader(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		for _, tt := range []struct {
			length uint64
			code   int
		}{
			{16<<20 + 1, 1009}, {1<<31 - 1, 1009}, {1 << 31, 1009}, {1<<32 - 1, 1009}, {1 << 32, 1009}, {1<<32 + 5, 1009}, {1<<53 + 1, 1009},
			{1<<63 - 1, 1009}, {1 << 63, 1002}, {1<<63 + 5, 1002}, {1<<64 - 1, 1002},
		} {
			header := string(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, tt.length)) + "\x00\x00\x00\x00"
			for _, bytes := range []string{
				header + "abcde",
				fragment(wire.Binary, "abc", false) + "\x00" + header[1:] + "abcde",
			} {
				p := s.open(t)
				p.send(bytes)
				f, err := p.next()
				if err != nil || !strings.HasPrefix(show(f), fmt.Sprintf("close %d ", tt.code)) {
					t.Errorf("a length of %d was answered with %s, %v", tt.length, show(f), err)
				}
				p.wantEnd()
				rec.want("open", fmt.Sprintf("failed %d", tt.code), `close 1006 ""`)
			}
		}
	})
}
