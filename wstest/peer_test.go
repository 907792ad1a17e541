package wstest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// A conversation of two that follow scripts, with every kind of line.
func TestTwoScriptedPeersTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe(wstest.Plan{})
		done := make(chan error, 1)
		go func() {
			done <- wstest.NewServer(b).Play(`
				request /chat?room=1 "Origin: http://a.example"
				response 101 "Sec-WebSocket-Protocol: chat"
				expect text more "Hel"               # FIN=0
				expect ping
				send   pong
				expect continuation "lo"
				expect 82 83 00000000 01 02 03
				send   binary 00*1000 "a"
				wait   1m
				send   82 7e 03e9 00*1000 "a"
				expect close 1000
				send   close 1000 "bye"
				end
				expect end
			`)
		}()
		if err := wstest.NewClient(a).Play(`
			request /chat?room=1 "Origin: http://a.example" "Host: b.example"
			response 101 "Sec-WebSocket-Protocol: chat"

			send   text more "Hel"
			send   ping
			expect pong
			send   continuation "lo"
			send   82 83 01010101 00 03 02
			expect 82 7e 03e9 00*1000 "a"
			expect silence 59s
			expect binary 00*1000 "a"
			send   close 1000
			expect close 1000 "bye"
			expect end
			hangup
		`); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The scripted peers understand the server and the client of this module, and the
// other way round.
func TestScriptedPeersTalkToOurOwn(t *testing.T) {
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	go s.Serve(ln)
	defer s.Shutdown(t.Context())
	nc := dial(t, ln)
	if err := wstest.NewClient(nc).Play(`
		open / "Origin: http://server.example"
		send text "Hello"
		expect text "Hello"
		send close
		expect close
		expect end
	`); err != nil {
		t.Error(err)
	}
	nc.Close()

	ours, theirs := wstest.Pipe(wstest.Plan{})
	done := make(chan error, 1)
	go func() {
		done <- wstest.NewServer(theirs).Play(`
			open /
			expect text "Hello"
			send ping "a"
			expect pong "a"
			send close 1001 ""
			expect close 1001
			hangup
		`)
	}()
	c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SendText("Hello")
	var closed *client.CloseError
	if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != wire.GoingAway {
		t.Errorf("received %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestScriptThatCannotBeRead(t *testing.T) {
	tests := []struct{ script, want string }{
		{"\nsned text \"a\"", `line 2, sned text "a": unknown line "sned"`},
		{`"send"`, `unknown line "send"`},
		{`send "a`, "does not end"},
		{"send", "send without bytes"},
		{"send txt", `"txt" is neither hexadecimal`},
		{"send text zz", `"zz" is neither hexadecimal`},
		{"send close a", `status code "a"`},
		{`send close 1000 bye`, "want one string"},
		{"expect", "not whole frames"},
		{"expect 81", "not whole frames"},
		{"expect 81 81 00000000 00", "a client's frames have the masking key"},
		{"expect zz", `"zz" is neither hexadecimal`},
		{"expect ping zz", `"zz" is neither hexadecimal`},
		{"expect end now", `"now" is too much`},
		{"expect reset now", `"now" is too much`},
		{"expect silence", `"" is not a time`},
		{"wait 5", `"5" is not a time`},
		{"wait 5s more", `"more" is too much`},
		{"end now", `"now" is too much`},
		{"hangup now", `"now" is too much`},
		{"reset now", `"now" is too much`},
		{"response abc", `"abc" is not an HTTP status`},
		{"response 101 Name:", `"Name:" is not a string`},
		{`open / "Name"`, `"Name" is not of the form Name: value`},
		{`open / "Name: a\r\nb: c"`, "is not of the form Name: value"},
	}
	for _, tt := range tests {
		a, _ := wstest.Pipe(wstest.Plan{})
		var e *wstest.ScriptError
		if err := wstest.NewClient(a).Play(tt.script); !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.script, err, tt.want)
		}
	}
}

// An endpoint that does something else than the script is told so, in the words
// of the script.
func TestScriptThatIsNotFollowed(t *testing.T) {
	sends := func(b string) func(nc *wstest.Conn) {
		return func(nc *wstest.Conn) { io.WriteString(nc, b) }
	}
	const accepted = "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	const asked = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	tests := []struct {
		role   func(net.Conn) *wstest.Peer
		script string
		does   func(nc *wstest.Conn)
		want   string // in the error; "": none
	}{
		{wstest.NewClient, `expect text "a"`, sends("\x81\x01a"), ""},
		{wstest.NewClient, `expect text "a"`, sends("\x81\x01b"), `line 1, expect text "a": got text "b"`},
		{wstest.NewClient, `expect text "a"`, sends("\x01\x01a"), `got text more "a"`},
		{wstest.NewClient, `expect text "a"`, sends("\x81\x7e\x00\x80" + strings.Repeat("b", 128)), `got text "` + strings.Repeat("b", 60) + `"… (128 bytes)`},
		{wstest.NewClient, `expect text "a"`, sends("\x88\x05\x03\xeabye"), `got close 1002 "bye"`},
		{wstest.NewClient, `expect text "a"`, sends("\x88\x00"), `got close`},
		{wstest.NewClient, `expect text "a"`, sends("\xc1\x01a"), `got c1 01 61`},
		{wstest.NewClient, `expect text "a"`, sends("\x83\x01a"), `got 83 01 61`},
		{wstest.NewClient, `expect text "a"`, sends("\x81\x81\x00\x00\x00\x00a"), `a frame from a server is masked`},
		{wstest.NewClient, `expect text "a"`, sends("\x81"), `got a part of a frame, 81, and then`},
		{wstest.NewClient, `expect text "a"`, func(*wstest.Conn) {}, `got nothing in time`},
		{wstest.NewClient, `expect text "a"`, func(nc *wstest.Conn) { nc.Close() }, `got the end of the connection: EOF`},
		{wstest.NewClient, `expect text "a"`, (*wstest.Conn).Reset, `connection reset`},
		{wstest.NewServer, `expect text "a"`, sends("\x81\x81\x00\x00\x00\x00a"), ""},
		{wstest.NewServer, `expect text "a"`, sends("\x81\x01a"), `a frame from a client is not masked`},
		{wstest.NewClient, `expect close 1000`, sends("\x88\x05\x03\xe8bye"), ""},
		{wstest.NewClient, `expect close 1000`, sends("\x88\x00"), "got close"},
		{wstest.NewClient, `expect close 1000 "b"`, sends("\x88\x05\x03\xe8bye"), `got close 1000 "bye"`},
		{wstest.NewClient, `expect close`, sends("\x88\x00"), ""},
		{wstest.NewClient, `expect end`, func(nc *wstest.Conn) { nc.CloseWrite() }, ""},
		{wstest.NewClient, `expect end`, sends("\x89\x00"), `got ping ""`},
		{wstest.NewClient, `expect end`, func(nc *wstest.Conn) { io.WriteString(nc, "\x89"); nc.Close() }, `got 89 before it`},
		{wstest.NewClient, `expect end`, (*wstest.Conn).Reset, `connection reset`},
		{wstest.NewClient, `expect reset`, (*wstest.Conn).Reset, ""},
		{wstest.NewClient, `expect reset`, func(nc *wstest.Conn) { nc.Close() }, "got the end"},
		{wstest.NewClient, `expect silence 1s`, func(*wstest.Conn) {}, ""},
		{wstest.NewClient, `expect silence 1s`, sends("\x89\x00"), `got ping ""`},
		{wstest.NewClient, `expect silence 1s`, sends("\x89"), `got 89`},
		{wstest.NewClient, `expect silence 1s`, func(nc *wstest.Conn) { nc.Close() }, "got the end"},
		{wstest.NewClient, `open`, sends(accepted), ""},
		{wstest.NewClient, `open / "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="`, sends(accepted), "wrong Sec-WebSocket-Accept"},
		{wstest.NewClient, `open`, sends("HTTP/1.1 101 \r\n\r\n"), "does not upgrade"},
		{wstest.NewClient, `open`, sends("HTTP/1.1 403 \r\n\r\n"), "got the status 403"},
		{wstest.NewClient, `open`, sends("SSH-2.0-\r\n"), "got no HTTP message"},
		{wstest.NewClient, `open`, func(nc *wstest.Conn) { nc.Close() }, "reset by peer"},
		{wstest.NewClient, "request /\nresponse 101 \"A: b\"", sends(accepted), `line 2, response 101 "A: b": got A: []`},
		{wstest.NewClient, "request /\nresponse 403\nexpect end", func(nc *wstest.Conn) { io.WriteString(nc, "HTTP/1.1 403 \r\n\r\nbody"); nc.CloseWrite() }, ""},
		{wstest.NewServer, `open /`, sends(asked), ""},
		{wstest.NewServer, `open`, sends(asked), ""},
		{wstest.NewServer, `open /a`, sends(asked), `got the target "/"`},
		{wstest.NewServer, `open / "Origin: a"`, sends(asked), "got Origin: []"},
		{wstest.NewServer, `request`, sends("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "no opening handshake"},
		{wstest.NewServer, `request`, func(*wstest.Conn) {}, "got nothing in time"},
		{wstest.NewClient, `send 00*100000`, func(*wstest.Conn) {}, "wrote 65536 of 100000 bytes in time"},
		{wstest.NewClient, `send 00`, (*wstest.Conn).Reset, "connection reset"},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := wstest.Pipe(wstest.Plan{})
				tt.does(b)
				p := tt.role(a)
				err := p.Play(tt.script)
				switch {
				case tt.want == "" && err != nil:
					t.Error(err)
				case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("%v, want %s", err, tt.want)
				}
			})
		})
	}
}

func TestTimeoutOfAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := wstest.Pipe(wstest.Plan{})
		for _, tt := range []struct{ timeout, want time.Duration }{{0, wstest.DefaultTimeout}, {time.Hour, time.Hour}} {
			p := wstest.NewClient(a)
			p.Timeout = tt.timeout
			start := time.Now()
			if err := p.Play("expect ping"); err == nil || time.Since(start) != tt.want {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		p := wstest.NewClient(a)
		p.Timeout = -1
		time.AfterFunc(1000*time.Hour, func() { io.WriteString(b, "\x89\x00") })
		if err := p.Play("expect ping"); err != nil {
			t.Error(err)
		}
	})
}

// The peer's half of the golden corpus, against an endpoint that follows it.
func TestPlayCorpus(t *testing.T) {
	scripts, err := corpus.Parse("x.txt", `
== a ping [x]
role server
in 89 80 00000000
event ping
out 8a 00
eof
== a call [x]
role server
ping
out 89 00
`)
	if err != nil {
		t.Fatal(err)
	}
	ping, call := scripts[0], scripts[1]
	tests := []struct {
		name   string
		role   func(net.Conn) *wstest.Peer
		script *corpus.Script
		answer string
		want   string // in the error; "": none
	}{
		{"followed", wstest.NewClient, ping, "\x8a\x00", ""},
		{"not followed", wstest.NewClient, ping, "\x89\x00", "x.txt:6: got ping"},
		{"of the peer's role", wstest.NewServer, ping, "", "x.txt:2: the script is for testing a server, which is what the peer is"},
		{"with a call", wstest.NewClient, call, "", "x.txt:10: ping is a call"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := wstest.Pipe(wstest.Plan{})
			io.WriteString(b, tt.answer)
			err := tt.role(a).PlayCorpus(tt.script)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}
