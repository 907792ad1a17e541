package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// T-G01, T-G02: a redirect is an error with its target. The client sends
// nothing to that target.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := listenTCP(t)
	visited := make(chan string, 10)
	go func() {
		for {
			nc, err := elsewhere.Accept()
			if err != nil {
				return
			}
			request, _ := readRequest(nc)
			visited <- request
			nc.Close()
		}
	}()
	here := listenTCP(t)
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		for _, scheme := range []string{"ws", "http", "wss", "https"} {
			location := scheme + "://" + elsewhere.Addr().String() + "/"
			asked := make(chan string, 1)
			go func() {
				nc, err := here.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				request, _ := readRequest(nc)
				fmt.Fprintf(nc, "HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, location)
				asked <- request
			}()
			_, err := client.Dial(t.Context(), "ws://kim:SECRET@"+here.Addr().String()+"/?token=SECRET", &client.Config{
				Header: map[string][]string{"Cookie": {"s=SECRET"}},
			})
			var refused *client.HandshakeError
			if !errors.As(err, &refused) || refused.Response.Status != status || refused.Response.Header.Get("Location") != location {
				t.Errorf("%d to %s: %v", status, location, err)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error repeats a secret: %v", err)
			}
			if request := <-asked; !strings.Contains(request, "Cookie: s=SECRET") {
				t.Errorf("the server was asked by %q", request)
			}
		}
	}
	elsewhere.Close()
	select {
	case request := <-visited:
		t.Errorf("the redirect was followed with %q", request)
	default:
	}
}

// T-F12, T-G12: an error of a dial names the server and contains no secret.
// T-G12: the dialer is called before any byte is sent, for a proxy as well.
func TestErrorsOfDialsHoldNoSecrets(t *testing.T) {
	refuse := errors.New("not to be dialed")
	cfg := client.Config{
		Header:       map[string][]string{"Authorization": {"Bearer SECRET"}, "Cookie": {"s=SECRET"}},
		Subprotocols: []string{"bearer", "SECRET"},
		DialContext:  client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, refuse }),
	}
	for _, proxy := range []string{"", "http://kim:SECRET@proxy.example"} {
		cfg.Proxy = proxyAt(proxy)
		_, err := client.Dial(t.Context(), "ws://kim:SECRET@server.example/SECRET?token=SECRET", &cfg)
		if !errors.Is(err, refuse) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("through %q: %v", proxy, err)
		}
	}
	cfg.Subprotocols = []string{"bearer", "SECRET/="}
	if _, err := client.Dial(t.Context(), "ws://server.example/", &cfg); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an invalid subprotocol: %v", err)
	}
	cfg.Proxy = client.ProxyURL("http://kim:SECRET@proxy.example:0")
	cfg.Subprotocols = nil
	if _, err := client.Dial(t.Context(), "ws://server.example/", &cfg); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an invalid proxy: %v", err)
	}
}

// T-C05, T-C06: the payload of a control frame is the caller's bytes, and no
// others.
func TestControlFramesCarryTheCallersPayload(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		array := strings.Repeat("x", 200)
		for n := range array {
			if err := c.SendPong([]byte(array)[:n]); (err != nil) != (n > 125) {
				t.Fatalf("a Pong of %d bytes: %v", n, err)
			}
			if n <= 125 {
				f.want(1, wire.Pong, array[:n])
			}
		}
		go c.Receive(t.Context())
		f.send(pingFrame(array[:125]))
		f.want(1, wire.Pong, array[:125])
		go c.Close(wire.NormalClosure, array[:123])
		f.want(1, wire.Close, closePayload(wire.NormalClosure, array[:123]))
		f.send(closeFrame(wire.NormalClosure, ""))
	})
}

// T-C19: a server that only sends Pings is alive, and sends no message: a
// Receive with a timeout ends in time.
func TestPingsAreNoMessages(t *testing.T) {
	piped(t, nil, func(t *testing.T, c *client.Conn, f *farEnd) {
		defer f.drip(time.Second, pingFrame(""))()
		ctx := check.Within(t, 10*time.Second)
		start := time.Now()
		if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
