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
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialed = addr
					return pipe(ctx, network, addr)
				},
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
// to the server.
func TestProxyThatRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		status int
		text   string
	}{
		"407":                          {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", 407, "websocket: the proxy refused CONNECT with status 407"},
		"500 with a body":              {"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", 500, "websocket: the proxy refused CONNECT with status 500"},
		"301, which is not followed":   {"HTTP/1.1 301 Moved\r\nLocation: http://evil.example/\r\n\r\n", 301, "websocket: the proxy refused CONNECT with status 301"},
		"101, which was not asked for": {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "websocket: the proxy refused CONNECT with status 101"},
		"bytes behind the header":      {"HTTP/1.1 200 OK\r\n\r\n\x81\x05Hello", 0, "websocket: proxy: the proxy sent bytes before the server could"},
		"no HTTP":                      {"SSH-2.0-OpenSSH\r\n", 0, "websocket: proxy: handshake response: "},
		"T-H06: escapes":               {"HTTP/1.1 \x1b[2J\r\n\r\n", 0, "websocket: proxy: handshake response: "},
		"nothing":                      {"", 0, "websocket: proxy: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			after := make(chan string, 1)
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
				Proxy: "http://user:pass@proxy.example",
				DialContext: scripted(t, func(nc net.Conn) {
					defer close(after)
					readRequest(nc)
					io.WriteString(nc, tt.answer)
					if tt.answer == "" {
						return
					}
					b, _ := io.ReadAll(nc)
					after <- string(b)
				}),
			})
			var refused *client.ProxyError
			if !errors.As(err, &refused) || refused.Status != tt.status || !strings.HasPrefix(err.Error(), tt.text) {
				t.Errorf("got %#v %v, want %s", err, err, tt.text)
			}
			if more := <-after; more != "" || strings.Contains(err.Error(), "pass") {
				t.Errorf("sent %q after it, and the error is %v", more, err)
			}
			checkErrorText(t, err)
		})
	}

	t.Run("cannot be dialed", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy:       "http://proxy.example",
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe },
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
		var refused *client.ProxyError
		if !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
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
		var refused *client.ProxyError
		if !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	})
}
