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

// proxyAt returns the proxy with a URL, nil if that is empty.
func proxyAt(url string) client.Proxy {
	if url == "" {
		return nil
	}
	return client.ProxyURL(url)
}

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
				Proxy: proxyAt(tt.proxy),
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
	const proxy = "websocket: proxy http://proxy.example:80: "
	const refused = proxy + "CONNECT refused with status "
	for name, tt := range map[string]struct {
		answers []string // to CONNECT, and to the bytes behind it
		status  int      // of the ProxyError; 0 without a response, -1 for another error
		text    string
	}{
		"407":                          {[]string{"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"}, 407, refused + `407 "Proxy Authentication Required" (the proxy does not accept the user and password of its URL)`},
		"500 with a body":              {[]string{"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"}, 500, refused + `500 "Oops"`},
		"301, which is not followed":   {[]string{"HTTP/1.1 301 Moved\r\nLocation: http://evil.example/\r\n\r\n"}, 301, refused + `301 "Moved"`},
		"101, which was not asked for": {[]string{"HTTP/1.1 101 Switching Protocols\r\n\r\n"}, 101, refused + `101 "Switching Protocols"`},
		"bytes behind the header":      {[]string{"HTTP/1.1 200 OK\r\n\r\n\x81\x05Hello"}, 0, proxy + "the proxy sent bytes before the server could"},
		"no HTTP":                      {[]string{"SSH-2.0-OpenSSH\r\n"}, 0, proxy + "handshake response: "},
		"T-H06: escapes":               {[]string{"HTTP/1.1 \x1b[2J\r\n\r\n"}, 0, proxy + "handshake response: "},
		"nothing":                      {nil, 0, proxy + "CONNECT request: EOF"},
		"a body, at once":              {[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"}, 0, proxy + "the proxy sent bytes before the server could"},
		"a second answer":              {[]string{"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"}, 0, proxy + "the proxy sent bytes before the server could"},
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
				Proxy: client.ProxyURL("http://user:SECRET@proxy.example"),
				DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					return pipe(ctx, network, addr)
				}),
			})
			var refused *client.ProxyError
			if errors.As(err, &refused) != (tt.status >= 0) || err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %#v %v, want %s", err, err, tt.text)
			}
			if refused != nil && (refused.Response != nil) != (tt.status > 0) || refused != nil && tt.status > 0 && refused.Response.Status != tt.status {
				t.Errorf("the response is %+v, want status %d", refused.Response, tt.status)
			}
			if more := <-after; more != "" || strings.Contains(err.Error(), "SECRET") || dials != 1 {
				t.Errorf("%d dials, sent %q after it, and the error is %v", dials, more, err)
			}
			checkErrorText(t, err)
		})
	}

	t.Run("cannot be dialed", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy:       client.ProxyURL("http://proxy.example"),
			DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }),
		})
		var refused *client.ProxyError
		if !errors.As(err, &refused) || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("an https proxy whose certificate does not hold", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy: client.ProxyURL("https://proxy.example"),
			DialContext: scripted(t, func(nc net.Conn) {
				nc.Read(make([]byte, 4<<10))
				io.WriteString(nc, "this is no TLS\r\n")
			}),
		})
		check.As[*client.ProxyError](t, err, "got")
		checkErrorText(t, err)
	})
}

// The refusal of a proxy has a hint.
func TestHintsOfProxies(t *testing.T) {
	for name, tt := range map[string]struct{ proxy, url, status, hint string }{
		"no user":            {"http://p", "ws://h", "407 Authenticate", "(set user and password in the URL of the proxy)"},
		"a wrong user":       {"http://u:p@p", "ws://h", "407 Authenticate", "(the proxy does not accept the user and password of its URL)"},
		"another port":       {"http://p", "ws://h", "403 Forbidden", "(many proxies allow port 443 only: use wss)"},
		"a port that is 443": {"http://p", "ws://h:443", "403 Forbidden", `403 "Forbidden"`},
		"no method":          {"http://p", "ws://h", "405 ", "status 405 (many proxies"},
		"no server":          {"http://p", "ws://h", "502 Bad Gateway", "(the proxy cannot reach the server)"},
		"quoted":             {"http://p", "ws://h", "500 \x9b2J", `500 "\x9b2J"`},
	} {
		_, err := client.Dial(t.Context(), tt.url, &client.Config{
			Proxy:       client.ProxyURL(tt.proxy),
			DialContext: saying([]byte("HTTP/1.1 " + tt.status + "\r\n\r\n")),
		})
		if check.As[*client.ProxyError](t, err, "%s", name) != nil && !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("%s: %v", name, err)
		}
		checkErrorText(t, err)
	}
}

// wantStep checks that err is the timeout of a step of a proxy.
func wantStep(t *testing.T, err error, proxy, step string) {
	t.Helper()
	want := "websocket: proxy " + proxy + ": " + step + ": no open connection for 10s (HandshakeTimeout)"
	if e := check.As[*client.ProxyError](t, err, "Dial"); e == nil || e.Proxy != proxy || e.Step != step || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	check.As[*client.TimeoutError](t, err, "its cause")
	check.Equal(t, client.Permanent(err), false, "Permanent")
}

// The steps before the request of a tunnel name the proxy too.
func TestProxyIsNamedBeforeItsTunnel(t *testing.T) {
	silent := func(nc net.Conn) { io.Copy(io.Discard, nc) }
	stalled := client.DialFunc(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for _, tt := range []struct {
		proxy, step string
		connected   bool
	}{
		{"http://proxy.example:80", "connect", false},
		{"socks5://proxy.example:1080", "connect", false},
		{"https://proxy.example:443", "TLS handshake", true},
	} {
		check.Bubble(t, tt.proxy, func(t *testing.T) {
			dial := stalled
			if tt.connected {
				dial = scripted(t, silent)
			}
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL(tt.proxy), DialContext: dial})
			wantStep(t, err, tt.proxy, tt.step)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Dial(ctx, "ws://server.example/", &client.Config{
		Proxy: client.ProxyURL("socks5://proxy.example"),
		DialContext: scripted(t, func(nc net.Conn) {
			nc.Read(make([]byte, 1))
			cancel()
			silent(nc)
		}),
	})
	if e := check.As[*client.ProxyError](t, err, "canceled"); e != nil && (e.Step != "SOCKS greeting" || !errors.Is(err, context.Canceled)) {
		t.Errorf("%v", err)
	}
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
			_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{Proxy: client.ProxyURL("http://proxy.example"), DialContext: scripted(t, server)})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultHandshakeTimeout {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			wantStep(t, err, "http://proxy.example:80", "CONNECT request")
			checkErrorText(t, err)
		})
	}
	t.Run("endless header", func(t *testing.T) {
		_, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			Proxy: client.ProxyURL("http://proxy.example"),
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
