package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Command-line tools use the proxy of the environment: HTTPS_PROXY, HTTP_PROXY,
// ALL_PROXY and NO_PROXY.
func ExampleProxyFromEnvironment() {
	c, err := client.Dial(context.Background(), "wss://example.com/chat", &client.Config{
		Proxy: client.ProxyFromEnvironment(),
	})
	var proxy *client.ProxyError
	if errors.As(err, &proxy) {
		log.Fatalf("the proxy %s refused: %v", proxy.Proxy, proxy.Err)
	}
	if err != nil {
		log.Fatal(err)
	}
	c.Close(wire.NormalClosure, "")
}

// All connections use one SOCKS5 proxy, which resolves the name of the server.
func ExampleProxyURL() {
	c, err := client.Dial(context.Background(), "wss://example.com/chat", &client.Config{
		Proxy: client.ProxyURL("socks5://user:password@proxy.example:1080"),
	})
	if err != nil {
		log.Fatal(err)
	}
	c.Close(wire.NormalClosure, "")
}

// Servers of the company are connected directly, and others by the proxy of the
// environment.
func ExampleProxyFunc() {
	environment := client.ProxyFromEnvironment()
	proxy := client.ProxyFunc(func(ctx context.Context, u *handshake.URL) (string, error) {
		if strings.HasSuffix(u.Host, ".corp.example") {
			return "", nil
		}
		return environment.Select(ctx, u)
	})
	u, err := handshake.ParseURL("wss://chat.corp.example/")
	if err != nil {
		fmt.Println(err)
		return
	}
	url, err := proxy.Select(context.Background(), u)
	fmt.Printf("%q %v\n", url, err)
	// Output: "" <nil>
}

// The server listens on a Unix socket.
func ExampleUnixDialer() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "chat.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &server.Server{Handler: server.Handler{Open: func(c *server.Conn) { c.SendText("hello from " + c.Path()) }}}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ctx := context.Background()
	c, err := client.Dial(ctx, "ws://localhost/chat", &client.Config{DialContext: client.UnixDialer(path)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello from /chat <nil>
}

// A server has moved /old to /new. Redirects to other hosts are refused.
func ExampleCheckRedirects() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &server.Server{
		Handler: server.Handler{Open: func(c *server.Conn) { c.SendText("hello from " + c.Path()) }},
		Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
			if r.Path() == "/old" {
				return &handshake.Error{Status: 308, Header: map[string][]string{"Location": {"/new"}}}
			}
			return nil
		},
	}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ctx := context.Background()
	c, err := client.Dial(ctx, "ws://"+ln.Addr().String()+"/old", &client.Config{
		Redirects: client.CheckRedirects(5, func(r *client.Redirect) error {
			if r.To.Host != r.From.Host {
				return errors.New("another host")
			}
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello from /new <nil>
}

// The steps of a Dial that fails show where it failed. Package dialtrace has
// the steps of the resolution, too.
func ExampleNewTrace() {
	_, err := client.Dial(context.Background(), "ws://example.com", &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no network in examples")
		}),
		Trace: client.NewTrace(func(s client.Step) {
			fmt.Println(s.Kind, s.Address, s.Took > 0, s.Err)
		}),
	})
	fmt.Println(err)
	// Output:
	// connect example.com:80 true no network in examples
	// websocket: dial example.com:80: no network in examples
}
