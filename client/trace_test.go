package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
)

// Trace reports each step with the time since the one before, in order, for a
// redirect through a proxy to a server with TLS.
func TestTrace(t *testing.T) {
	check.Bubble(t, "steps", func(t *testing.T) {
		const second = time.Second // of the bubble's time
		var steps []string
		n := 0
		serve := scripted(t, func(nc net.Conn) {
			n++
			time.Sleep(2 * second)
			readRequest(nc)
			io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
			_, key := readRequest(nc)
			time.Sleep(4 * second)
			io.WriteString(nc, "H")
			time.Sleep(second)
			if n == 1 {
				io.WriteString(nc, "TTP/1.1 302 Found\r\nLocation: /2\r\nContent-Length: 0\r\n\r\n")
				return
			}
			io.WriteString(nc, switching(key)[1:])
			io.Copy(io.Discard, nc)
		})
		c, err := client.Dial(t.Context(), "wss://server.example/1", &client.Config{
			HandshakeTimeout: time.Hour,
			Proxy:            client.ProxyURL("http://proxy.example:3128"),
			Redirects:        client.FollowRedirects(1),
			DialContext:      serve,
			StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, host string) (net.Conn, error) {
				time.Sleep(3 * second)
				check.Equal(t, host, "server.example", "host")
				return nc, nil
			}),
			Trace: client.NewTrace(func(s client.Step) {
				line := fmt.Sprint(s.Kind, " ", s.Took, " ", s.Address, " ", s.Conn != nil, " ", s.Err)
				if s.Kind == client.StepRequest {
					target, _, _ := strings.Cut(string(s.Request), " HTTP/")
					line += " " + target
				}
				if s.Response != nil {
					line += fmt.Sprint(" ", s.Response.Status)
				}
				steps = append(steps, line)
			}),
		})
		check.Must(t, err)
		c.CloseNow()
		attempt := func(target string, status int) []string {
			return []string{
				"connect 0s proxy.example:3128 true <nil>",
				"proxy 2s proxy.example:3128 true <nil>",
				"tls 3s proxy.example:3128 true <nil>",
				"request 0s proxy.example:3128 false <nil> GET " + target,
				"first byte 4s proxy.example:3128 false <nil>",
				fmt.Sprint("response 1s proxy.example:3128 false <nil> ", status),
			}
		}
		check.Slices(t, steps, append(attempt("/1", 302), attempt("/2", 101)...), "steps")
	})
}

// The step that fails is the last one, with the error.
func TestTraceOfAFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  client.Config
		url  string
		want string // kinds
	}{
		"connect":  {client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress })}, "ws://h", "connect"},
		"proxy":    {client.Config{DialContext: saying([]byte("HTTP/1.1 407 x\r\n\r\n")), Proxy: client.ProxyURL("p")}, "ws://h", "connect proxy"},
		"tls":      {client.Config{DialContext: saying(nil), StartTLS: client.TLSFunc(func(context.Context, net.Conn, string) (net.Conn, error) { return nil, io.ErrNoProgress })}, "wss://h", "connect tls"},
		"response": {client.Config{DialContext: saying([]byte("SSH"))}, "ws://h", "connect request first byte response"},
		"nothing":  {client.Config{DialContext: saying(nil)}, "ws://h", "connect request response"},
	} {
		var kinds []string
		var last error
		tt.cfg.Trace = client.NewTrace(func(s client.Step) {
			kinds = append(kinds, string(s.Kind))
			last = s.Err
		})
		_, err := client.Dial(t.Context(), tt.url, &tt.cfg)
		check.Equal(t, strings.Join(kinds, " "), tt.want, "%s: steps", name)
		if err == nil || last == nil || !errors.Is(err, last) {
			t.Errorf("%s: Dial returned %v, and the last step %v", name, err, last)
		}
	}
}

// A Trace that panics in any step is an error of Dial.
func TestTraceThatPanics(t *testing.T) {
	for _, kind := range []client.StepKind{client.StepConnect, client.StepProxy, client.StepTLS, client.StepRequest, client.StepFirstByte, client.StepResponse} {
		_, err := client.Dial(t.Context(), "wss://h", &client.Config{
			DialContext: scripted(t, func(nc net.Conn) {
				readRequest(nc)
				io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
				_, key := readRequest(nc)
				io.WriteString(nc, switching(key))
				io.Copy(io.Discard, nc)
			}),
			Proxy:    client.ProxyURL("p"),
			StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, _ string) (net.Conn, error) { return nc, nil }),
			Trace: client.NewTrace(func(s client.Step) {
				if s.Kind == kind {
					panic("on purpose")
				}
			}),
		})
		check.As[*client.PanicError](t, err, "%s", kind)
		checkErrorText(t, err)
	}
}
