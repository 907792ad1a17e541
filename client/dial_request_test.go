package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wire"
)

// scripted is a transport to a server, which is the given function.
func scripted(t *testing.T, server func(nc net.Conn)) client.DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer theirs.Close()
			server(theirs)
		}()
		t.Cleanup(func() {
			ours.Close()
			<-done
		})
		return ours, nil
	}
}

// readRequest reads a request to its blank line, and returns the key in it.
func readRequest(nc net.Conn) (request, key string) {
	var b []byte
	buf := make([]byte, 4<<10)
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		n, err := nc.Read(buf)
		if err != nil {
			return string(b), ""
		}
		b = append(b, buf[:n]...)
	}
	_, key, _ = strings.Cut(string(b), "Sec-WebSocket-Key: ")
	key, _, _ = strings.Cut(key, "\r\n")
	return string(b), key
}

// switching returns a valid 101 response up to its blank line, with additional
// fields.
func switching(key string, fields ...string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + handshake.AcceptKey(key) + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// Dial validates the URL and the Config before it opens a connection.
func TestInvalidRequestIsNotDialed(t *testing.T) {
	type header = map[string][]string
	var urlError *handshake.URLError
	var fieldError *handshake.FieldError
	for name, tt := range map[string]struct {
		url    string
		cfg    client.Config
		target any
	}{
		"6455-3-a, 6455-4.1-a: another scheme":           {"ftp://h/", client.Config{}, &urlError},
		"6455-3-a: no scheme":                            {"h/x", client.Config{}, &urlError},
		"6455-3-a: empty":                                {"", client.Config{}, &urlError},
		"6455-3-b: port 0":                               {"ws://h:0/", client.Config{}, &urlError},
		"6455-3-b: port 65536":                           {"ws://h:65536/", client.Config{}, &urlError},
		"6455-3-d: fragment":                             {"ws://h/p#f", client.Config{}, &urlError},
		"6455-11.1-a: host that is not ASCII":            {"ws://bücher/", client.Config{}, &urlError},
		"T-D17: line break in the URL":                   {"ws://h/\r\nX: y", client.Config{}, &urlError},
		"6455-4.1-o: subprotocol that is no token":       {"ws://h/", client.Config{Subprotocols: []string{"a b"}}, &fieldError},
		"6455-4.1-o: subprotocol twice":                  {"ws://h/", client.Config{Subprotocols: []string{"x", "x"}}, &fieldError},
		"T-D17: line break in a subprotocol":             {"ws://h/", client.Config{Subprotocols: []string{"a\r\nX: y"}}, &fieldError},
		"T-D17: line break in a value":                   {"ws://h/", client.Config{Header: header{"X": {"a\r\nY: b"}}}, &fieldError},
		"T-D17: bare line feed in a value":               {"ws://h/", client.Config{Header: header{"X": {"a\nY: b"}}}, &fieldError},
		"T-D17: NUL in a value":                          {"ws://h/", client.Config{Header: header{"X": {"a\x00"}}}, &fieldError},
		"T-D17: line break in a name":                    {"ws://h/", client.Config{Header: header{"X\r\nY": {"a"}}}, &fieldError},
		"T-D17: colon in a name":                         {"ws://h/", client.Config{Header: header{"X:": {"a"}}}, &fieldError},
		"6455-4.1-p: the handshake's own field":          {"ws://h/", client.Config{Header: header{"sec-websocket-key": {"a"}}}, &fieldError},
		"6455-4.1-j: a second Host":                      {"ws://h/", client.Config{Header: header{"Host": {"h", "evil.example"}}}, &fieldError},
		"6455-3-a: the proxy's URL":                      {"ws://h/", client.Config{Proxy: client.ProxyURL("ftp://proxy/")}, &urlError},
		"T-G08: an address with a zone, through a proxy": {"ws://[fe80::1%25eth0]/", client.Config{Proxy: client.ProxyURL("http://proxy/")}, new(*client.ProxyError)},
		"6455-4.1-n: another version of the protocol":    {"ws://h/", client.Config{Header: header{"Sec-WebSocket-Version": {"8"}}}, &fieldError},
		"6455-4.1-v: an unsupported extension":           {"ws://h/", client.Config{Header: header{"Sec-WebSocket-Extensions": {"foo"}}}, &fieldError},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.DialContext = client.DialFunc(func(_ context.Context, _, addr string) (net.Conn, error) {
				t.Errorf("dialed %s", addr)
				return nil, io.EOF
			})
			c, err := client.Dial(t.Context(), tt.url, &tt.cfg)
			if c != nil || !errors.As(err, tt.target) {
				t.Errorf("got %v, %#v; want a %T", c, err, tt.target)
			}
			checkErrorText(t, err)
		})
	}
}

// The request contains the URL, the Config and the required header fields, and
// nothing else.
func TestRequest(t *testing.T) {
	type header = map[string][]string
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p@ss"))
	for name, tt := range map[string]struct {
		url     string
		cfg     client.Config
		address string
		want    string
	}{
		"6455-4.1-h,i,j,k,l,m,n: the fields, each once": {
			"ws://h/chat", client.Config{}, "h:80",
			"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\nUser-Agent: fibersock\r\n\r\n",
		},
		"another User-Agent": {
			"ws://h/", client.Config{Header: header{"user-agent": {"x"}}}, "h:80",
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\nuser-agent: x\r\n\r\n",
		},
		"no User-Agent": {
			"ws://h/", client.Config{Header: header{"User-Agent": nil}}, "h:80",
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\n\r\n",
		},
		"6455-3-a: a scheme in another case": {"WS://h/", client.Config{}, "h:80", "GET / HTTP/1.1\r\nHost: h\r\n"},
		"6455-3-a: http is ws":               {"http://h/", client.Config{}, "h:80", "GET / HTTP/1.1\r\nHost: h\r\n"},
		"6455-3-b: a port":                   {"ws://h:8080", client.Config{}, "h:8080", "GET / HTTP/1.1\r\nHost: h:8080\r\n"},
		"6455-4.1-j: the default port":       {"ws://h:80", client.Config{}, "h:80", "GET / HTTP/1.1\r\nHost: h\r\n"},
		"6455-3-c: query without path":       {"ws://h?x=1", client.Config{}, "h:80", "GET /?x=1 HTTP/1.1\r\n"},
		"6455-3-c: escapes stay":             {"ws://h/a%2Fb+c;d", client.Config{}, "h:80", "GET /a%2Fb+c;d HTTP/1.1\r\n"},
		"6455-11.1-a: a path not in ASCII":   {"ws://h/ü", client.Config{}, "h:80", "GET /%C3%BC HTTP/1.1\r\n"},
		"8307-a: a well-known path":          {"ws://h/.well-known/x", client.Config{}, "h:80", "GET /.well-known/x HTTP/1.1\r\n"},
		"6455-3-f: IPv6":                     {"ws://[::1]:81/", client.Config{}, "[::1]:81", "GET / HTTP/1.1\r\nHost: [::1]:81\r\n"},
		"6455-3-f, T-G08: a zone is dialed and not sent": {
			"ws://[fe80::1%25eth0]/", client.Config{}, "[fe80::1%eth0]:80", "GET / HTTP/1.1\r\nHost: [fe80::1]\r\n",
		},
		"6455-3-e: userinfo": {
			"ws://u:p%40ss@h/", client.Config{}, "h:80",
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\nAuthorization: " + basic + "\r\nUser-Agent: fibersock\r\n\r\n",
		},
		"6455-3-e: the program's own Authorization wins": {
			"ws://u:p@h/", client.Config{Header: header{"authorization": {"Bearer x"}}}, "h:80",
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\nUser-Agent: fibersock\r\nauthorization: Bearer x\r\n\r\n",
		},
		"6455-4.1-m,o,p: subprotocols and further fields": {
			"ws://h/", client.Config{Subprotocols: []string{"b", "a"}, Header: header{"Origin": {"https://o.example"}, "Cookie": {"x=1"}}}, "h:80",
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\n" +
				"Sec-WebSocket-Protocol: b, a\r\nCookie: x=1\r\nOrigin: https://o.example\r\nUser-Agent: fibersock\r\n\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var request, key, dialed string
			pipe := scripted(t, func(nc net.Conn) {
				request, key = readRequest(nc)
				io.WriteString(nc, switching(key))
			})
			tt.cfg.DialContext = client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = network + " " + addr
				return pipe(ctx, network, addr)
			})
			c, err := client.Dial(t.Context(), tt.url, &tt.cfg)
			check.Must(t, err)
			c.CloseNow()
			if dialed != "tcp "+tt.address {
				t.Errorf("dialed %s, want tcp %s", dialed, tt.address)
			}
			if got := strings.Replace(request, key, "KEY", 1); !strings.HasPrefix(got, tt.want) {
				t.Errorf("sent\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

// 6455-4.1-l: a new key for every attempt.
func TestNewKeyForEveryDial(t *testing.T) {
	seen := map[string]bool{}
	var cfg client.Config
	cfg.DialContext = scripted(t, func(nc net.Conn) {
		_, key := readRequest(nc)
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
			t.Errorf("the key %q is not 16 bytes", key)
		}
		if seen[key] {
			t.Errorf("the key %q was used twice", key)
		}
		seen[key] = true
		io.WriteString(nc, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
	})
	for range 100 {
		var refused *client.HandshakeError
		if _, err := client.Dial(t.Context(), "ws://h/", &cfg); !errors.As(err, &refused) {
			t.Fatal(err)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d keys in 100 dials", len(seen))
	}
}

// 6455-4.1-q, 9110-7.8-d: after the request no byte is sent until the response
// has been validated.
func TestNothingIsSentBeforeTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var request string
		var after []byte
		cfg := client.Config{DialContext: scripted(t, func(nc net.Conn) {
			var key string
			request, key = readRequest(nc)
			more := make(chan struct{})
			go func() {
				defer close(more)
				after, _ = io.ReadAll(nc)
			}()
			<-answer
			io.WriteString(nc, switching(key))
			<-more
		})}
		dialed := make(chan *client.Conn)
		go func() {
			c, err := client.Dial(t.Context(), "ws://h/", &cfg)
			check.OK(t, err)
			dialed <- c
		}()
		synctest.Wait()
		if !strings.HasSuffix(request, "\r\n\r\n") || len(after) > 0 {
			t.Errorf("sent %q and then %q", request, after)
		}
		close(answer)
		c := <-dialed
		c.CloseNow()
		if synctest.Wait(); len(after) > 0 {
			t.Errorf("sent %q after the request", after)
		}
	})
}

// 6455-4.1-b: the policy is that dials do not wait for each other. Two of them
// to a server that does not answer both arrive.
func TestDialsDoNotWaitForEachOther(t *testing.T) {
	ln := listenTCP(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range 2 {
		go func() {
			_, err := client.Dial(ctx, "ws://"+ln.Addr().String(), nil)
			errs <- err
		}()
	}
	var stalled [2]net.Conn
	for i := range stalled {
		nc, err := ln.Accept()
		check.Must(t, err)
		defer nc.Close()
		stalled[i] = nc
		if request, _ := readRequest(nc); !strings.HasPrefix(request, "GET / ") {
			t.Errorf("dial %d sent %q", i, request)
		}
	}
	cancel()
	for i, nc := range stalled {
		check.Is(t, <-errs, context.Canceled, "a cancelled dial returned")
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("6455-4.1-d: the socket of dial %d is not closed: %d, %v", i, n, err)
		}
	}
}

// 6455-4.1-d, T-G12: the error of the dialer, of the network or of a hook that
// filters addresses is wrapped in the error of Dial, with the dialed server.
func TestDialerError(t *testing.T) {
	addr := tcpserver.Refusing(t)
	_, err := client.Dial(t.Context(), "ws://"+addr, nil)
	var network *net.OpError
	if !errors.As(err, &network) || !strings.HasPrefix(err.Error(), "websocket: dial "+addr+": ") {
		t.Errorf("a closed port: %v", err)
	}
	forbidden := errors.New("169.254.169.254 is not to be dialed")
	_, err = client.Dial(t.Context(), "ws://169.254.169.254/", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, forbidden }),
	})
	check.Is(t, err, forbidden, "the hook's error")
	for name, cfg := range map[string]client.Config{"server": {}, "proxy": {Proxy: client.ProxyURL("http://proxy.example")}} {
		cfg.DialContext = scripted(t, func(net.Conn) {}) // hangs up at once
		_, err := client.Dial(t.Context(), "ws://server.example/", &cfg)
		check.Is(t, err, io.ErrClosedPipe, "a %s that hangs up at once", name)
		checkErrorText(t, err)
	}
}

// This test uses the IPv6 loopback address, if the system has one.
func TestIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here: %v", err)
		return
	}
	defer ln.Close()
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		acceptHandshake(t, nc)
		nc.Write(textFrame("over IPv6"))
		io.Copy(io.Discard, nc)
	}()
	c, err := client.Dial(t.Context(), "ws://"+ln.Addr().String(), nil)
	check.Must(t, err)
	defer c.CloseNow()
	receiveWant(t, c, wire.Text, "over IPv6")
	if c.RemoteAddr().String() != ln.Addr().String() || c.LocalAddr() == nil {
		t.Errorf("the addresses are %v and %v", c.LocalAddr(), c.RemoteAddr())
	}
}

// receiveWant receives a message and compares it with the arguments.
func receiveWant(t *testing.T, c *client.Conn, op wire.Opcode, payload string) {
	t.Helper()
	m, err := c.Receive(t.Context())
	if err != nil || m.Opcode != op || string(m.Payload) != payload {
		t.Fatalf("received %v %.200q, %v; want %v %.200q", m.Opcode, m.Payload, err, op, payload)
	}
}

// receives are the calls that receive a message. ReceiveInto appends to bytes
// of the program.
var receives = map[string]func(ctx context.Context, c *client.Conn) (string, error){
	"Receive": func(ctx context.Context, c *client.Conn) (string, error) {
		m, err := c.Receive(ctx)
		return m.Text(), err
	},
	"ReceiveInto": func(ctx context.Context, c *client.Conn) (string, error) {
		_, b, err := c.ReceiveInto(ctx, append(make([]byte, 0, 100), "mine, "...))
		rest, kept := strings.CutPrefix(string(b), "mine, ")
		if !kept && err == nil {
			err = fmt.Errorf("the program's bytes have changed: %q", b)
		}
		return rest, err
	},
	"NextReader": func(ctx context.Context, c *client.Conn) (string, error) {
		_, r, err := c.NextReader(ctx)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), err
	},
}

// receiveNothing receives for a second, in which no message arrives.
func receiveNothing(t *testing.T, c *client.Conn) {
	t.Helper()
	if m, err := c.Receive(check.Within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("received %v %.200q, %v; want nothing", m.Opcode, m.Payload, err)
	}
}

// nextReader begins to read a message.
func nextReader(t *testing.T, c *client.Conn) io.Reader {
	t.Helper()
	_, r, err := c.NextReader(t.Context())
	check.Must(t, err)
	return r
}

// wantRead reads the rest of a message and compares it with the argument.
func wantRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || string(b) != want {
		t.Errorf("read %.200q, %v; want %.200q", b, err, want)
	}
}

// checkErrorText checks the rules for every error text: it begins with the
// library's name, once, and contains no control characters of the peer's bytes
// (T-H06).
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := err.Error()
	if strings.Count(text, "websocket: ") != 1 || !strings.HasPrefix(text, "websocket: ") {
		t.Errorf("the error's text must begin with the library's name, and have it once: %q", text)
	}
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			t.Errorf("T-H06: a control character in the error's text %q", text)
		}
	}
}

// A DialFunc that is nil is like no DialContext: a variable of the program may
// hold it.
func TestDialFuncThatIsNil(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	defer ln.Close()
	accepted := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			nc.Close()
		}
		accepted <- err
	}()
	var dial func(context.Context, string, string) (net.Conn, error)
	_, err = client.Dial(t.Context(), "ws://"+ln.Addr().String(), &client.Config{DialContext: client.DialFunc(dial)})
	var panicked *client.PanicError
	if err == nil || errors.As(err, &panicked) {
		t.Errorf("a connection that the server closes: %v", err)
	}
	check.Must(t, <-accepted)
}
