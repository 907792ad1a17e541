package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// relay copies between two connections until both directions have ended.
func relay(a, b net.Conn) {
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
		})
	}
	wg.Wait()
}

// echoServer is a WebSocket server that sends each message back. It returns its
// address.
func echoServer(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Shutdown(context.Background())
		<-done
	})
	return ln.Addr().String()
}

// socksServer is a SOCKS5 proxy (RFC 1928, RFC 1929) with a user, if that is
// set. It resolves names by the table.
type socksServer struct {
	user, password string
	names          map[string]string // host and port, as the client sent them, to an address

	mu       sync.Mutex
	requests []string // the host and port of each request
}

// serve serves one connection. It returns a reply code of RFC 1928.
func (s *socksServer) serve(nc *net.TCPConn) {
	read := func(n int) []byte {
		p := make([]byte, n)
		if _, err := io.ReadFull(nc, p); err != nil {
			return make([]byte, n)
		}
		return p
	}
	greeting := read(2)
	if greeting[0] != 5 {
		return
	}
	method := byte(0)
	if s.user != "" {
		method = 2
	}
	if !strings.Contains(string(read(int(greeting[1]))), string(method)) {
		nc.Write([]byte{5, 0xff})
		return
	}
	nc.Write([]byte{5, method})
	if method == 2 {
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != s.user || password != s.password {
			nc.Write([]byte{1, 1})
			return
		}
		nc.Write([]byte{1, 0})
	}
	request := read(4)
	host := ""
	switch request[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2)))))
	s.mu.Lock()
	s.requests = append(s.requests, address)
	s.mu.Unlock()
	if mapped, ok := s.names[address]; ok {
		address = mapped
	}
	to, err := net.Dial("tcp", address)
	if err != nil {
		nc.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer to.Close()
	nc.Write(append([]byte{5, 0, 0, 3, 4}, "host\x01\x02"...))
	relay(nc, to)
}

// A real server through a real SOCKS5 proxy: the proxy resolves names, and
// authenticates by user and password.
func TestSOCKS(t *testing.T) {
	echo := echoServer(t)
	_, port, _ := net.SplitHostPort(echo)
	names := map[string]string{"server.example:80": echo, "[2001:db8::1]:8080": echo}
	for name, tt := range map[string]struct {
		user, proxyUser, url, requested string
	}{
		"a name":               {"", "", "ws://Server.example/", "server.example:80"},
		"IPv4":                 {"", "", "ws://127.0.0.1:" + port, echo},
		"IPv6":                 {"", "", "ws://[2001:db8::1]:8080", "[2001:db8::1]:8080"},
		"user and password":    {"kim:p@ss", "kim:p%40ss@", "ws://server.example", "server.example:80"},
		"a user is not needed": {"", "kim:x@", "ws://server.example", "server.example:80"},
		"an empty password":    {"kim:", "kim@", "ws://server.example", "server.example:80"},
		"the longest password": {"kim:" + strings.Repeat("x", 255), "kim:" + strings.Repeat("x", 255) + "@", "ws://server.example", "server.example:80"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &socksServer{names: names}
			s.user, s.password, _ = strings.Cut(tt.user, ":")
			proxy := tcpserver.Start(t, s.serve)
			c, err := client.Dial(t.Context(), tt.url, &client.Config{Proxy: client.ProxyURL("socks5://" + tt.proxyUser + proxy)})
			check.Must(t, err)
			check.Must(t, c.SendText("through SOCKS"))
			receiveWant(t, c, wire.Text, "through SOCKS")
			check.OK(t, c.Close(wire.NormalClosure, ""))
			s.mu.Lock()
			defer s.mu.Unlock()
			check.Slices(t, s.requests, []string{tt.requested}, "requests")
		})
	}

	t.Run("a wrong password", func(t *testing.T) {
		proxy := tcpserver.Start(t, (&socksServer{user: "kim", password: "right"}).serve)
		for user, text := range map[string]string{
			"kim:SECRET@": "does not accept the user and password",
			"":            "requires authentication (set user and password",
		} {
			_, err := client.Dial(t.Context(), "ws://server.example", &client.Config{Proxy: client.ProxyURL("socks5h://" + user + proxy)})
			failed := check.As[*client.ProxyError](t, err, "%q", user)
			if failed != nil && (failed.Proxy != "socks5://"+proxy || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("%q: %v", user, err)
			}
		}
	})

	t.Run("a server that does not listen", func(t *testing.T) {
		closed := tcpserver.Refusing(t)
		proxy := tcpserver.Start(t, new(socksServer).serve)
		_, err := client.Dial(t.Context(), "ws://"+closed, &client.Config{Proxy: client.ProxyURL("socks5://" + proxy)})
		if reply := check.As[*client.SOCKSError](t, err, "Dial"); reply != nil && (reply.Reply != 5 || !strings.Contains(err.Error(), "connection refused by the server")) {
			t.Errorf("reply %d: %v", reply.Reply, err)
		}
	})
}

// Each byte of the proxy that breaks RFC 1928 or RFC 1929, or refuses, is a
// ProxyError with the reason.
func TestSOCKSReplies(t *testing.T) {
	const (
		greeting = "\x05\x02"
		noAuth   = "\x05\x00"
		accepted = "\x01\x00"
	)
	for name, tt := range map[string]struct {
		reply string
		code  byte // of the SOCKSError
		text  string
	}{
		"nothing":                       {"", 0, "closed the connection after 0 of 2 bytes"},
		"half a selection":              {"\x05", 0, "closed the connection after 1 of 2 bytes"},
		"HTTP":                          {"HTTP/1.1 400 Bad Request\r\n\r\n", 0, "answers in HTTP"},
		"SOCKS4":                        {"\x00\x5b\x00\x00\x00\x00\x00\x00", 0, "SOCKS4"},
		"another version":               {"\x06\x00", 0, "version 6"},
		"no method":                     {"\x05\xff", 0, "accepts no user and password"},
		"a method that was not offered": {"\x05\x01", 0, "method 1, which was not offered"},
		"half a status":                 {greeting + "\x01", 0, "after 1 of 2 bytes"},
		"another version of the status": {greeting + "\x05\x00", 0, "version 5 of the authentication"},
		"refused":                       {greeting + "\x01\x07", 0, "(status 7)"},
		"half a reply":                  {greeting + accepted + "\x05\x00\x00", 0, "after 3 of 4 bytes"},
		"a reply of another version":    {noAuth + "\x04\x00\x00\x01", 0, "version 4"},
		"reply 1":                       {noAuth + "\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", 1, "SOCKS reply 1: general failure"},
		"reply 2":                       {noAuth + "\x05\x02\x00\x01", 2, "rules of the proxy"},
		"reply 8":                       {noAuth + "\x05\x08\x00\x01", 8, "address type not supported"},
		"reply 9":                       {noAuth + "\x05\x09\x00\x01", 9, "SOCKS reply 9: unknown reply"},
		"reply 255":                     {noAuth + "\x05\xff\x00\x01", 255, "SOCKS reply 255: unknown reply"},
		"an unknown address type":       {noAuth + "\x05\x00\x00\x02", 0, "unknown address type 2"},
		"half an IPv4 address":          {noAuth + "\x05\x00\x00\x01\x7f\x00", 0, "after 2 of 6 bytes"},
		"half an IPv6 address":          {noAuth + "\x05\x00\x00\x04\x7f\x00", 0, "after 2 of 18 bytes"},
		"no length of a name":           {noAuth + "\x05\x00\x00\x03", 0, "after 0 of 1 bytes"},
		"half a name":                   {noAuth + "\x05\x00\x00\x03\x05abc", 0, "after 3 of 7 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Dial(t.Context(), "ws://server.example", &client.Config{
				Proxy:       client.ProxyURL("socks5://kim:SECRET@proxy.example"),
				DialContext: saying([]byte(tt.reply)),
			})
			failed := check.As[*client.ProxyError](t, err, "Dial")
			if failed == nil || !strings.Contains(err.Error(), tt.text) || !strings.HasPrefix(err.Error(), "websocket: proxy socks5://proxy.example:1080: ") {
				t.Errorf("got %v, want %s", err, tt.text)
			}
			var reply *client.SOCKSError
			if errors.As(err, &reply); tt.code != 0 && reply == nil || reply != nil && reply.Reply != tt.code {
				t.Errorf("got %#v, want reply %d", reply, tt.code)
			}
			checkErrorText(t, err)
		})
	}
}

// The reply is read to its last byte and not further: the next bytes are the
// server's, for each type of address.
func TestSOCKSReplyEndsWhereTheServerBegins(t *testing.T) {
	for _, bound := range []string{"\x01abcdXY", "\x04abcdefghijklmnopXY", "\x03\x00XY", "\x03\xff" + strings.Repeat("n", 255) + "XY"} {
		request := make(chan string, 1)
		c, err := client.Dial(t.Context(), "ws://server.example", &client.Config{
			Proxy: client.ProxyURL("socks5://proxy.example"),
			DialContext: scripted(t, func(nc net.Conn) {
				io.ReadFull(nc, make([]byte, 3))
				nc.Write([]byte{5, 0})
				b := make([]byte, 4+1+len("server.example")+2)
				io.ReadFull(nc, b)
				request <- string(b)
				// All bytes of the reply and of the server arrive together; the
				// key is that of a request that the server has not read.
				io.WriteString(nc, "\x05\x00\x00"+bound)
				_, key := readRequest(nc)
				io.WriteString(nc, switching(key)+string(textFrame("first")))
				io.Copy(io.Discard, nc)
			}),
		})
		check.Mustf(t, err, "%q", bound)
		receiveWant(t, c, wire.Text, "first")
		c.CloseNow()
		check.Equal(t, <-request, "\x05\x01\x00\x03\x0eserver.example\x00\x50", "request")
	}
}

// A configuration that SOCKS5 cannot send is an error before the dial.
func TestSOCKSThatCannotBeAsked(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, tt := range map[string]struct{ url, proxy, text string }{
		"a long name":     {"ws://" + long, "socks5://proxy.example", "host name of 256 bytes: SOCKS5 allows 255"},
		"a zone":          {"ws://[fe80::1%25eth0]", "socks5://proxy.example", "zone"},
		"a long user":     {"ws://h", "socks5://" + long + ":x@proxy.example", "user of 256 bytes"},
		"a long password": {"ws://h", "socks5://u:" + long + "@proxy.example", "password of 256 bytes"},
		"no user":         {"ws://h", "socks5://:x@proxy.example", "SOCKS5 needs a user"},
		"SOCKS4":          {"ws://h", "socks4://proxy.example", "socks5://"},
	} {
		_, err := client.Dial(t.Context(), tt.url, &client.Config{
			Proxy: client.ProxyURL(tt.proxy),
			DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
				t.Errorf("%s: dialed", name)
				return nil, io.EOF
			}),
		})
		if check.As[*client.ProxyError](t, err, "%s", name) != nil && !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Another try is pointless if a proxy refuses the user or the rules forbid the
// connection, and if a redirect is not followed; not if a network fails.
func TestPermanentRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"no user":         {&client.ProxyError{Err: &client.SOCKSError{Reason: "no user"}}, true},
		"rules":           {&client.ProxyError{Err: &client.SOCKSError{Reply: 2}}, true},
		"no route":        {&client.ProxyError{Err: &client.SOCKSError{Reply: 4}}, false},
		"general failure": {&client.ProxyError{Err: &client.SOCKSError{Reply: 1}}, false},
		"407":             {&client.ProxyError{Response: &handshake.Response{Status: 407}, Err: io.EOF}, true},
		"502":             {&client.ProxyError{Response: &handshake.Response{Status: 502}, Err: io.EOF}, false},
		"no connection":   {&client.ProxyError{Err: io.EOF}, false},
		"a redirect":      {&client.RedirectError{Response: &handshake.Response{Status: 302}, Err: &client.RedirectLimitError{Max: 1}}, true},
	} {
		check.Equal(t, client.Permanent(tt.err), tt.want, "%s", name)
	}
	for name, cfg := range map[string]*client.Config{
		"a zone":            {Proxy: client.ProxyURL("socks5://p")},
		"a zone by CONNECT": {Proxy: client.ProxyURL("http://p")},
	} {
		_, err := client.Dial(t.Context(), "ws://[fe80::1%25eth0]", cfg)
		check.Equal(t, client.Permanent(err), true, "%s", name)
	}
}

// HandshakeTimeout bounds a SOCKS5 proxy that sends nothing, or single bytes.
func TestSOCKSIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ sent, step string }{
		"nothing":             {"", "SOCKS greeting"},
		"one byte":            {"\x05", "SOCKS greeting"},
		"a user is asked for": {"\x05\x02", "SOCKS authentication"},
		"nothing after that":  {"\x05\x00", "SOCKS request"},
		"a part of the reply": {"\x05\x00\x05\x00\x00\x03\x20host", "SOCKS request"},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			start := time.Now()
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
				Proxy: client.ProxyURL("socks5://user:secret@proxy.example"),
				DialContext: scripted(t, func(nc net.Conn) {
					go io.WriteString(nc, tt.sent)
					io.Copy(io.Discard, nc)
				}),
			})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultHandshakeTimeout {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			wantStep(t, err, "socks5://proxy.example:1080", tt.step)
		})
	}
}

// FuzzSOCKS: for any bytes of the proxy, Dial opens a tunnel if and only if they
// are a whole dialog of success, and the next byte is the first one of the
// server.
func FuzzSOCKS(f *testing.F) {
	for _, seed := range []string{"", "\x05\x00\x05\x00\x00\x01abcdXYrest", "\x05\x02\x01\x00\x05\x00\x00\x03\x01hXY", "\x05\x02\x01\x01", "\x05\x00\x05\x05\x00\x01", "HTTP/1.1 400\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		size := socksDialog(sent)
		if size >= 0 {
			sent = append(sent[:size:size], "HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"...)
		}
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy:       client.ProxyURL("socks5://kim:x@proxy.example"),
			DialContext: saying(sent),
		})
		var failed *client.ProxyError
		var refused *client.HandshakeError
		if errors.As(err, &failed) == (size >= 0) || errors.As(err, &refused) != (size >= 0) || refused != nil && (refused.Response == nil || refused.Response.Status != 418) {
			t.Errorf("%q: a tunnel after %d bytes, and Dial returned %v", sent, size, err)
		}
	})
}

// socksDialog returns the number of bytes of a dialog that opens a tunnel, -1
// if sent opens none. It is written from RFC 1928 and RFC 1929.
func socksDialog(sent []byte) int {
	n := 2
	if len(sent) < n || sent[0] != 5 || sent[1] != 0 && sent[1] != 2 {
		return -1
	}
	if sent[1] == 2 {
		if n += 2; len(sent) < n || sent[2] != 1 || sent[3] != 0 {
			return -1
		}
	}
	if n += 4; len(sent) < n || sent[n-4] != 5 || sent[n-3] != 0 {
		return -1
	}
	switch kind := sent[n-1]; {
	case kind == 1:
		n += 4
	case kind == 4:
		n += 16
	case kind == 3 && len(sent) > n:
		n += 1 + int(sent[n])
	default:
		return -1
	}
	if n += 2; len(sent) < n {
		return -1
	}
	return n
}

// A proxy that is lost before the greeting is an error of the proxy.
func TestSOCKSThatCannotBeWrittenTo(t *testing.T) {
	_, err := client.Dial(t.Context(), "ws://server.example", &client.Config{
		Proxy: client.ProxyURL("socks5://proxy.example"),
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
			return &sayingConn{bytes.NewReader(nil), io.ErrClosedPipe}, nil
		}),
	})
	check.Is(t, err, io.ErrClosedPipe, "Dial")
	check.As[*client.ProxyError](t, err, "Dial")
	if client.Permanent(err) {
		t.Error("a lost connection is permanent")
	}
}

// saying returns a dialer to a peer that ignores its input, sends sent, and then
// closes.
func saying(sent []byte) client.DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		return &sayingConn{Reader: bytes.NewReader(sent)}, nil
	}
}

// sayingConn is the connection of saying. Its writes fail with failed.
type sayingConn struct {
	*bytes.Reader
	failed error
}

func (c *sayingConn) Write(p []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	return len(p), nil
}
func (c *sayingConn) Close() error                     { return nil }
func (c *sayingConn) LocalAddr() net.Addr              { return new(net.TCPAddr) }
func (c *sayingConn) RemoteAddr() net.Addr             { return new(net.TCPAddr) }
func (c *sayingConn) SetDeadline(time.Time) error      { return nil }
func (c *sayingConn) SetReadDeadline(time.Time) error  { return nil }
func (c *sayingConn) SetWriteDeadline(time.Time) error { return nil }
