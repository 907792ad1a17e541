package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// 6455-4.1-c: through a proxy. The proxy gets its credentials, the server
// never.
func TestProxy(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass"))
	for name, tt := range map[string]struct {
		url, proxy      string
		dialed, connect string
		answer          string
	}{
		"plain": {
			"ws://server.example/chat", "http://proxy.example:3128",
			"proxy.example:3128", "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\nUser-Agent: fibersock\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		},
		"with credentials and a port": {
			"ws://u:p@server.example:8080/", "http://user:pass@proxy.example",
			"proxy.example:80", "CONNECT server.example:8080 HTTP/1.1\r\nHost: server.example:8080\r\nProxy-Authorization: " + basic + "\r\nUser-Agent: fibersock\r\n\r\n",
			"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n",
		},
		"to an IPv6 address, another 2xx, after an interim response": {
			"ws://[2001:db8::1]/", "http://proxy.example",
			"proxy.example:80", "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nUser-Agent: fibersock\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Fine\r\n\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var connect, request, dialed string
			pipe := scripted(t, func(nc net.Conn) {
				connect, _ = readRequest(nc)
				io.WriteString(nc, tt.answer)
				var key string
				request, key = readRequest(nc)
				io.WriteString(nc, switching(key)+string(textFrame("through")))
				io.Copy(io.Discard, nc)
			})
			c, err := client.Dial(t.Context(), tt.url, &client.Config{
				Proxy: tt.proxy,
				DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialed = addr
					return pipe(ctx, network, addr)
				}),
			})
			check.Must(t, err)
			defer c.CloseNow()
			receiveWant(t, c, wire.Text, "through")
			if dialed != tt.dialed || connect != tt.connect {
				t.Errorf("dialed %s and sent %q, want %s and %q", dialed, connect, tt.dialed, tt.connect)
			}
			if !strings.HasPrefix(request, "GET ") || strings.Contains(request, "Proxy-") || strings.Contains(request, basic) {
				t.Errorf("the server was sent %q", request)
			}
		})
	}
}

// 6455-4.1-c, T-G09: only a 2xx response without further bytes opens the tunnel
// to the server. No later byte of a proxy is read as the server's, with or
// without the announcement of a body. A proxy that requires a password is not
// asked again.
func TestProxyThatRefuses(t *testing.T) {
	const refused = "websocket: the proxy refused CONNECT with status "
	for name, tt := range map[string]struct {
		answers []string // to CONNECT, and to the bytes behind it
		status  int      // of the ProxyError
		text    string
	}{
		"407":                          {[]string{"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"}, 407, refused + "407"},
		"500 with a body":              {[]string{"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"}, 500, refused + "500"},
		"301, which is not followed":   {[]string{"HTTP/1.1 301 Moved\r\nLocation: http://evil.example/\r\n\r\n"}, 301, refused + "301"},
		"101, which was not asked for": {[]string{"HTTP/1.1 101 Switching Protocols\r\n\r\n"}, 101, refused + "101"},
		"bytes behind the header":      {[]string{"HTTP/1.1 200 OK\r\n\r\n\x81\x05Hello"}, 0, "websocket: proxy: the proxy sent bytes before the server could"},
		"no HTTP":                      {[]string{"SSH-2.0-OpenSSH\r\n"}, 0, "websocket: proxy: handshake response: "},
		"T-H06: escapes":               {[]string{"HTTP/1.1 \x1b[2J\r\n\r\n"}, 0, "websocket: proxy: handshake response: "},
		"nothing":                      {nil, 0, "websocket: proxy: EOF"},
		"a body, at once":              {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"}, 0, "websocket: proxy: the proxy sent bytes before the server could"},
		"a second answer":              {[]string{"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"}, 0, "websocket: proxy: the proxy sent bytes before the server could"},
		"many interim ones":            {[]string{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9)}, 0, "interim responses"},
		"a body, later":                {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Hello"}, -1, "handshake failed"},
		"chunks, later":                {[]string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nHello\r\n0\r\n\r\n"}, -1, "handshake failed"},
		"a replayed 101":               {[]string{"HTTP/1.1 200 OK\r\n\r\n", switching("dGhlIHNhbXBsZSBub25jZQ==")}, -1, "handshake failed"},
	} {
		t.Run(name, func(t *testing.T) {
			after := make(chan string, 1)
			dials := 0
			pipe := scripted(t, func(nc net.Conn) {
				defer close(after)
				if tt.answers == nil {
					readRequest(nc)
					return
				}
				for _, answer := range tt.answers {
					readRequest(nc)
					io.WriteString(nc, answer)
				}
				b, _ := io.ReadAll(nc)
				after <- string(b)
			})
			_, err := client.Dial(t.Context(), "ws://kim:SECRET@server.example/", &client.Config{
				Proxy: "http://user:SECRET@proxy.example",
				DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					return pipe(ctx, network, addr)
				}),
			})
			var refused *client.ProxyError
			if errors.As(err, &refused) != (tt.status >= 0) || refused != nil && refused.Status != tt.status || err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %#v %v, want %s", err, err, tt.text)
			}
			if more := <-after; more != "" || strings.Contains(err.Error(), "SECRET") || dials != 1 {
				t.Errorf("%d dials, sent %q after it, and the error is %v", dials, more, err)
			}
			checkErrorText(t, err)
		})
	}

	t.Run("cannot be dialed", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy:       "http://proxy.example",
			DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }),
		})
		var refused *client.ProxyError
		if !errors.As(err, &refused) || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("an https proxy whose certificate does not hold", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy: "https://proxy.example",
			DialContext: scripted(t, func(nc net.Conn) {
				nc.Read(make([]byte, 4<<10))
				io.WriteString(nc, "this is no TLS\r\n")
			}),
		})
		check.As[*client.ProxyError](t, err, "got")
		checkErrorText(t, err)
	})
}

// 6455-4.1-ac: HandshakeTimeout bounds a proxy that sends nothing, or a header
// without end.
func TestProxyIsBounded(t *testing.T) {
	for name, server := range map[string]func(nc net.Conn){
		"silent": func(nc net.Conn) { io.Copy(io.Discard, nc) },
		"stalled in its header": func(nc net.Conn) {
			readRequest(nc)
			io.WriteString(nc, "HTTP/1.1 2")
			io.Copy(io.Discard, nc)
		},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			start := time.Now()
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{Proxy: "http://proxy.example", DialContext: scripted(t, server)})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultHandshakeTimeout {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			checkErrorText(t, err)
		})
	}
	t.Run("endless header", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy: "http://proxy.example",
			DialContext: scripted(t, func(nc net.Conn) {
				readRequest(nc)
				io.WriteString(nc, "HTTP/1.1 200 OK\r\n")
				for {
					if _, err := io.WriteString(nc, "X: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
						return
					}
				}
			}),
		})
		check.As[*client.ProxyError](t, err, "got")
	})
}
