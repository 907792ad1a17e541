package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// dialAnswered dials a server that answers with response and then closes.
// KEY-ACCEPT in response is replaced by the valid Sec-WebSocket-Accept.
func dialAnswered(t *testing.T, response string, cfg *client.Config) (*client.Conn, error) {
	config := client.Config{}
	if cfg != nil {
		config = *cfg
	}
	config.DialContext = scripted(t, func(nc net.Conn) {
		_, key := readRequest(nc)
		io.WriteString(nc, strings.ReplaceAll(response, "KEY-ACCEPT", handshake.AcceptKey(key)))
	})
	return client.Dial(t.Context(), "ws://server.example/", &config)
}

// 6455-4.1-r, T-G01, T-G02: a status other than 101 is an error with the
// status, the header and the start of the body. The client follows no redirect:
// there is one dial.
func TestRefusal(t *testing.T) {
	long := strings.Repeat("0123456789", 200)
	for name, tt := range map[string]struct {
		response string
		status   int
		header   string // of the response, "Name: value"
		body     string
		text     string
	}{
		"200": {
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "Content-Length: 5", "hello",
			`websocket: handshake refused with status 200 "OK": "hello"`,
		},
		"301 to a plain URL elsewhere": {
			"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://evil.example/\r\nContent-Length: 0\r\n\r\n", 301, "Location: ws://evil.example/", "",
			`websocket: handshake refused with status 301 "Moved Permanently", Location "ws://evil.example/"`,
		},
		"503 with the time to wait": {
			"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 503, "Retry-After: 120", "",
			`websocket: handshake refused with status 503 "Busy", Retry-After "120"`,
		},
		"401": {
			"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", 401, "WWW-Authenticate: Basic realm=\"x\"", "",
			`websocket: handshake refused with status 401 "Unauthorized"`,
		},
		"403, body up to the end of the connection": {
			"HTTP/1.1 403 Forbidden\r\n\r\nno entry", 403, "", "no entry",
			`websocket: handshake refused with status 403 "Forbidden": "no entry"`,
		},
		"426 with the versions that the server has (6455-4.4-a, 6455-11.3.5-a)": {
			"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8, 7\r\nContent-Length: 0\r\n\r\n", 426, "Sec-WebSocket-Version: 8, 7", "",
			`websocket: handshake refused with status 426 "Upgrade Required"`,
		},
		"500 with a long body: 1 KiB is kept": {
			"HTTP/1.1 500 Oops\r\nContent-Length: 2000\r\n\r\n" + long, 500, "", long[:1024],
			`websocket: handshake refused with status 500 "Oops": "` + long[:200] + `"...`,
		},
		"a body longer than its Content-Length": {
			"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nnot this", 500, "", "no",
			`websocket: handshake refused with status 500 "Oops": "no"`,
		},
		"a body shorter than its Content-Length": {
			"HTTP/1.1 500 Oops\r\nContent-Length: 20\r\n\r\nno more", 500, "", "no more",
			`websocket: handshake refused with status 500 "Oops": "no more"`,
		},
		"T-H06: control characters in reason and body": {
			"HTTP/1.1 500 Oops\t\xff\r\nContent-Length: 8\r\n\r\n\x1b[31m\r\n\x00", 500, "", "\x1b[31m\r\n\x00",
			`websocket: handshake refused with status 500 "Oops\t\xff": "\x1b[31m\r\n\x00"`,
		},
		"204, which has no body": {
			"HTTP/1.1 204 No Content\r\n\r\n", 204, "", "",
			`websocket: handshake refused with status 204 "No Content"`,
		},
		"999 without a reason": {
			"HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", 999, "", "",
			`websocket: handshake refused with status 999`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialAnswered(t, tt.response, nil)
			var refused *client.HandshakeError
			if c != nil || !errors.As(err, &refused) {
				t.Fatalf("got %v, %v", c, err)
			}
			if refused.Response.Status != tt.status || string(refused.Body) != tt.body {
				t.Errorf("got status %d and body %q", refused.Response.Status, refused.Body)
			}
			if name, value, found := strings.Cut(tt.header, ": "); found && refused.Response.Header.Get(name) != value {
				t.Errorf("the response's header is %q", refused.Response.Header)
			}
			if err.Error() != tt.text {
				t.Errorf("the error's text is\n%s, want\n%s", err, tt.text)
			}
			checkErrorText(t, err)
			var response *handshake.ResponseError
			if !errors.As(err, &response) {
				t.Errorf("the error %v does not name the fault", refused.Err)
			}
		})
	}
}

// 6455-4.1-r, T-G05: a refusal is reported also if its body is endless or
// missing: Dial reads at most 1 KiB of it, for at most one second. If the
// context ends meanwhile, the refusal is reported and not a timeout: the status
// tells more.
func TestRefusalWithEndlessBody(t *testing.T) {
	stalled := func(nc net.Conn) {
		io.WriteString(nc, "no")
		io.Copy(io.Discard, nc)
	}
	for name, tt := range map[string]struct {
		body          func(nc net.Conn)
		timeout, want time.Duration
		kept          string
	}{
		"endless": {func(nc net.Conn) {
			for {
				if _, err := io.WriteString(nc, "and on "); err != nil {
					return
				}
			}
		}, 0, 0, strings.Repeat("and on ", 147)[:1024]},
		"never":                         {func(nc net.Conn) { io.Copy(io.Discard, nc) }, 0, time.Second, ""},
		"stalled":                       {stalled, 0, time.Second, "no"},
		"stalled, and the context ends": {stalled, time.Second / 2, time.Second / 2, "no"},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			cfg := client.Config{HandshakeTimeout: tt.timeout, DialContext: scripted(t, func(nc net.Conn) {
				readRequest(nc)
				io.WriteString(nc, "HTTP/1.1 403 Forbidden\r\n\r\n")
				tt.body(nc)
			})}
			start := time.Now()
			_, err := client.Dial(t.Context(), "ws://h/", &cfg)
			var refused *client.HandshakeError
			if !errors.As(err, &refused) || refused.Response.Status != 403 || string(refused.Body) != tt.kept {
				t.Fatalf("got %v", err)
			}
			check.Equal(t, time.Since(start), tt.want, "it took")
		})
	}
}

// A 101 that breaks a rule of Section 4.1 does not open the connection. The
// rules themselves are tested in package handshake.
func TestResponseThatBreaksRule(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY-ACCEPT\r\n"
	for name, tt := range map[string]struct {
		response string
		field    string
	}{
		"6455-4.1-s: no Upgrade":                   {strings.Replace(ok, "Upgrade: websocket\r\n", "", 1), "Upgrade"},
		"6455-4.1-s: Upgrade to another":           {strings.Replace(ok, "websocket", "h2c", 1), "Upgrade"},
		"6455-4.1-t: no Connection":                {strings.Replace(ok, "Connection: Upgrade\r\n", "", 1), "Connection"},
		"6455-4.1-t: upgraded":                     {strings.Replace(ok, ": Upgrade", ": Upgraded", 1), "Connection"},
		"6455-4.1-u, T-G06: no Accept":             {strings.Replace(ok, "Sec-WebSocket-Accept: KEY-ACCEPT\r\n", "", 1), "Sec-WebSocket-Accept"},
		"6455-4.1-u, T-G06: Accept of another key": {strings.Replace(ok, "KEY-ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1), "Sec-WebSocket-Accept"},
		"6455-11.3.3-a: Accept twice":              {ok + "Sec-WebSocket-Accept: KEY-ACCEPT\r\n", "Sec-WebSocket-Accept"},
		"6455-4.1-v, T-G07: an extension":          {ok + "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Extensions"},
		"6455-9.1-a: a malformed extension":        {ok + "Sec-WebSocket-Extensions: permessage-deflate;;\r\n", "Sec-WebSocket-Extensions"},
		"6455-4.1-w, T-G07: another subprotocol":   {ok + "Sec-WebSocket-Protocol: superchat\r\n", "Sec-WebSocket-Protocol"},
		"6455-4.1-w: in another case":              {ok + "Sec-WebSocket-Protocol: Chat\r\n", "Sec-WebSocket-Protocol"},
		"6455-11.3.4-a: subprotocol twice":         {ok + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol"},
		"6455-4.1-x: an empty subprotocol":         {ok + "Sec-WebSocket-Protocol:\r\n", "Sec-WebSocket-Protocol"},
		"6455-4.1-x: HTTP/1.0":                     {strings.Replace(ok, "1.1", "1.0", 1), ""},
		"T-H06: escapes in a value":                {ok + "Sec-WebSocket-Protocol: \x9b31m\"\t\r\n", "Sec-WebSocket-Protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialAnswered(t, tt.response+"\r\n", &client.Config{Subprotocols: []string{"chat"}})
			var failed *client.HandshakeError
			var reason *handshake.ResponseError
			if c != nil || !errors.As(err, &failed) || !errors.As(err, &reason) {
				t.Fatalf("got %v, %v", c, err)
			}
			if failed.Response == nil || failed.Response.Status != 101 {
				t.Errorf("the error has the response %+v", failed.Response)
			}
			if reason.Field != tt.field {
				t.Errorf("the fault is in %q, want %q: %v", reason.Field, tt.field, err)
			}
			checkErrorText(t, err)
		})
	}
}

// The response is not HTTP, or is incomplete.
func TestResponseThatIsNone(t *testing.T) {
	for name, tt := range map[string]struct {
		response string
		target   error // matched with errors.Is, if it is not a HandshakeError
	}{
		"nothing":               {"", io.EOF},
		"half a head":           {"HTTP/1.1 101 Swi", io.EOF},
		"SSH":                   {"SSH-2.0-OpenSSH_9.2\r\n", nil},
		"a frame":               {"\x81\x05Hello", nil},
		"T-H06: escape":         {"\x1b[2J\r\n", nil},
		"white space in a name": {"HTTP/1.1 101 S\r\nUpgrade : websocket\r\n\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dialAnswered(t, tt.response, nil)
			var failed *client.HandshakeError
			switch {
			case tt.target != nil && !errors.Is(err, tt.target):
				t.Errorf("got %v, want %v", err, tt.target)
			case tt.target == nil && (!errors.As(err, &failed) || failed.Response != nil):
				t.Errorf("got %#v, want a HandshakeError without response", err)
			}
			checkErrorText(t, err)
		})
	}
}

// Responses that open the connection.
func TestResponse(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY-ACCEPT\r\n"
	early := "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
	for name, tt := range map[string]struct {
		response    string
		subprotocol string
	}{
		"6455-4.1-ab: no subprotocol, though some are offered": {ok, ""},
		"6455-4.1-w: an offered subprotocol":                   {ok + "Sec-WebSocket-Protocol: chat\r\n", "chat"},
		"6455-4.1-s,t,y: letter case, a list, two lines": {
			"HTTP/1.1 101 x\r\nUPGRADE: WebSocket\r\nconnection: keep-alive\r\nconnection: close, upgrade\r\nsec-websocket-accept:  KEY-ACCEPT \r\n", "",
		},
		"9110-15.2-a: interim responses":       {"HTTP/1.1 100 Continue\r\n\r\n" + early + ok, ""},
		"9110-15.2-a: eight interim responses": {strings.Repeat(early, 8) + ok, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialAnswered(t, tt.response+"\r\n", &client.Config{Subprotocols: []string{"chat", "superchat"}})
			check.Must(t, err)
			defer c.CloseNow()
			if c.State() != client.Open || c.Subprotocol() != tt.subprotocol || c.Response().Status != 101 {
				t.Errorf("the connection is %v with subprotocol %q and %+v", c.State(), c.Subprotocol(), c.Response())
			}
		})
	}

	t.Run("9110-15.2-a: nine interim responses are refused", func(t *testing.T) {
		_, err := dialAnswered(t, strings.Repeat(early, 9)+ok+"\r\n", nil)
		var failed *client.HandshakeError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "interim") {
			t.Errorf("got %v", err)
		}
		checkErrorText(t, err)
	})

	t.Run("6455-4.1-aa: the response's cookies", func(t *testing.T) {
		c, err := dialAnswered(t, ok+"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", nil)
		check.Must(t, err)
		defer c.CloseNow()
		if got := strings.Join(c.Response().Header.Values("set-cookie"), " "); got != "a=1 b=2" {
			t.Errorf("the cookies are %q", got)
		}
	})
}

// 6455-4.1-z: the bytes after the blank line of the response are frames,
// wherever the stream is cut into segments.
func TestFrameRightBehindResponse(t *testing.T) {
	const interim = "HTTP/1.1 103 Early Hints\r\n\r\n"
	size := len(interim) + len(switching("any key")) + len(textFrame("Hello"))
	for cut := range size + 1 {
		c, err := client.Dial(t.Context(), "ws://h/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
			_, key := readRequest(nc)
			b := append([]byte(interim+switching(key)), textFrame("Hello")...)
			nc.Write(b[:cut])
			nc.Write(b[cut:])
			io.Copy(io.Discard, nc)
		})})
		check.Mustf(t, err, "cut at %d", cut)
		m, err := c.Receive(t.Context())
		if err != nil || m.Opcode != wire.Text || m.Text() != "Hello" {
			t.Errorf("cut at %d: received %v %q, %v", cut, m.Opcode, m.Payload, err)
		}
		c.CloseNow()
	}
}

// 6455-4.1-ac: HandshakeTimeout bounds the whole handshake, also with a server
// that sends single bytes.
func TestHandshakeTimeout(t *testing.T) {
	drip := func(nc net.Conn, s string) {
		for i := range len(s) {
			if _, err := io.WriteString(nc, s[i:i+1]); err != nil {
				return
			}
			time.Sleep(time.Second) // of the bubble's time
		}
		io.Copy(io.Discard, nc)
	}
	for name, tt := range map[string]struct {
		timeout time.Duration
		server  func(nc net.Conn, over <-chan struct{})
		want    time.Duration
	}{
		"does not read": {0, func(_ net.Conn, over <-chan struct{}) { <-over }, client.DefaultHandshakeTimeout},
		"silent":        {0, func(nc net.Conn, _ <-chan struct{}) { io.Copy(io.Discard, nc) }, client.DefaultHandshakeTimeout},
		"one byte a second": {3500 * time.Millisecond, func(nc net.Conn, _ <-chan struct{}) {
			_, key := readRequest(nc)
			drip(nc, switching(key))
		}, 3500 * time.Millisecond},
		"interim responses without end": {0, func(nc net.Conn, _ <-chan struct{}) {
			readRequest(nc)
			drip(nc, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 8))
		}, client.DefaultHandshakeTimeout},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			over := make(chan struct{})
			cfg := client.Config{HandshakeTimeout: tt.timeout, DialContext: scripted(t, func(nc net.Conn) {
				tt.server(nc, over)
			})}
			start := time.Now()
			_, err := client.Dial(t.Context(), "ws://server.example/", &cfg)
			close(over)
			var timeout interface{ Timeout() bool }
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("got %v, which is no timeout", err)
			}
			check.Equal(t, time.Since(start), tt.want, "it took")
			if !strings.Contains(err.Error(), "HandshakeTimeout") || !strings.Contains(err.Error(), tt.want.String()) || !strings.Contains(err.Error(), "server.example:80") {
				t.Errorf("the text names not the option, its value and the server: %v", err)
			}
			checkErrorText(t, err)
		})
	}

	check.Bubble(t, "negative: none", func(t *testing.T) {
		cfg := client.Config{HandshakeTimeout: -1, DialContext: scripted(t, func(nc net.Conn) {
			_, key := readRequest(nc)
			drip(nc, switching(key))
		})}
		c, err := client.Dial(context.Background(), "ws://server.example/", &cfg)
		check.Must(t, err)
		c.CloseNow()
	})

	check.Bubble(t, "the context is the earlier", func(t *testing.T) {
		cfg := client.Config{DialContext: scripted(t, func(nc net.Conn) { io.Copy(io.Discard, nc) })}
		ctx := check.Within(t, time.Second)
		start := time.Now()
		_, err := client.Dial(ctx, "ws://server.example/", &cfg)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || strings.Contains(err.Error(), "HandshakeTimeout") {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A context that ends during the dial has no effect on the open connection.
func TestContextOfDialEndsWithDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := client.Dial(ctx, "ws://h/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
			_, key := readRequest(nc)
			io.WriteString(nc, switching(key))
			<-ctx.Done()
			nc.Write(textFrame("still here"))
			io.Copy(io.Discard, nc)
		})})
		check.Must(t, err)
		defer c.CloseNow()
		cancel()
		synctest.Wait()
		receiveWant(t, c, wire.Text, "still here")
		time.Sleep(client.DefaultHandshakeTimeout + time.Second)
		if c.State() != client.Open {
			t.Errorf("the connection is %v: %v", c.State(), c.Err())
		}
	})
}

// 6455-4.1-ac, T-G05, T-D04: header fields without end are refused at 64 KiB.
func TestEndlessHeaders(t *testing.T) {
	done := make(chan int, 1)
	_, err := client.Dial(t.Context(), "ws://h/", &client.Config{DialContext: scripted(t, func(nc net.Conn) {
		readRequest(nc)
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n")
		for i, sent := 0, 0; ; i++ {
			n, err := io.WriteString(nc, "X-"+strconv.Itoa(i)+": "+strings.Repeat("x", 1<<10)+"\r\n")
			if sent += n; err != nil {
				done <- sent
				return
			}
		}
	})})
	check.As[*client.HandshakeError](t, err, "got")
	if sent := <-done; sent > 80<<10 {
		t.Errorf("%d bytes were read", sent)
	}
	checkErrorText(t, err)
}
