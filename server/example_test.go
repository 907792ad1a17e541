package server_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// listen returns a listener on a free port and its URL for the client of an
// example. A real program calls ListenAndServe.
func listen() (ln net.Listener, url string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return ln, "ws://" + ln.Addr().String()
}

func dial(url string) *client.Conn {
	c, err := client.Dial(context.Background(), url, nil)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// receive returns the next message, or the reason of the connection's end.
func receive(c *client.Conn) string {
	m, err := c.Receive(context.Background())
	if err != nil {
		return err.Error()
	}
	return m.Text()
}

// A server that echoes every message.
func Example() {
	s := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p)
		},
	}}
	ln, url := listen() // instead of s.ListenAndServe("localhost:8080")
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c := dial(url)
	c.SendText("Hello")
	fmt.Println(receive(c))
	c.Close(wire.NormalClosure, "")
	// Output: Hello
}

// The event style. Events of a connection are called in order, and Value keeps
// application data with it.
func ExampleHandler() {
	done := make(chan struct{})
	s := &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) {
			fmt.Println("open", c.Path())
			c.SetValue(0)
		},
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			n := c.Value().(int) + 1
			c.SetValue(n)
			fmt.Printf("message %d, %v: %s\n", n, op, p)
		},
		Close: func(c *server.Conn, code wire.StatusCode, reason string) {
			fmt.Printf("close %d %q\n", code, reason)
			close(done)
		},
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c := dial(url + "/chat")
	c.SendText("Hello")
	c.SendBinary([]byte("again"))
	c.Close(wire.NormalClosure, "bye")
	<-done
	// Output:
	// open /chat
	// message 1, text: Hello
	// message 2, binary: again
	// close 1000 "bye"
}

// Partial receives large messages in pieces, so that they are not buffered as a
// whole. Value keeps the sum of each connection.
func ExampleHandler_partial() {
	s := &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) { c.SetValue(0) },
		Partial: func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
			sum := c.Value().(int) + len(p)
			if final {
				c.Sendf("%d bytes", sum)
				sum = 0 // the next message
			}
			c.SetValue(sum)
		},
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ada, bob := dial(url), dial(url)
	ada.SendBinary(make([]byte, 1_000_000))
	bob.SendBinary(make([]byte, 10))
	ada.SendBinary(make([]byte, 2_000_000))
	fmt.Println(receive(ada), receive(ada))
	fmt.Println(receive(bob))
	ada.Close(wire.NormalClosure, "")
	bob.Close(wire.NormalClosure, "")
	// Output:
	// 1000000 bytes 2000000 bytes
	// 10 bytes
}

// The blocking style: one function for each connection. The connection is
// closed when it returns.
func ExampleConn_Receive() {
	s := &server.Server{Handler: server.Handler{
		Serve: func(c *server.Conn) {
			ctx := context.Background()
			c.SendText("Who are you?")
			name, err := c.Receive(ctx)
			if err != nil {
				return
			}
			c.Sendf("Hello, %s. Which numbers shall I add?", name.Text())
			var numbers []int
			if err := c.ReceiveJSON(ctx, &numbers); err != nil {
				return
			}
			sum := 0
			for _, n := range numbers {
				sum += n
			}
			c.SendJSON(map[string]int{"sum": sum})
		},
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c := dial(url)
	fmt.Println(receive(c))
	c.SendText("Ada")
	fmt.Println(receive(c))
	c.SendText("[1, 2, 3]")
	fmt.Println(receive(c))
	fmt.Println(receive(c))
	// Output:
	// Who are you?
	// Hello, Ada. Which numbers shall I add?
	// {"sum":6}
	// websocket: closed by the peer with 1000 (normal closure)
}

// Messages larger than memory: NextReader streams one as it arrives, NextWriter
// sends one in fragments.
func ExampleConn_NextReader() {
	s := &server.Server{Handler: server.Handler{
		Serve: func(c *server.Conn) {
			op, r, err := c.NextReader(context.Background())
			if err != nil {
				return
			}
			w, err := c.NextWriter(op)
			if err != nil {
				return
			}
			if _, err := io.Copy(w, r); err != nil {
				return
			}
			w.Close()
		},
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c := dial(url)
	c.SendText("a very long text")
	fmt.Println(receive(c))
	c.Close(wire.NormalClosure, "")
	// Output: a very long text
}

// A chat: each message is sent to all clients. A client that does not read
// delays no other.
func ExampleServer_Broadcast() {
	s := new(server.Server)
	s.Handler.Open = func(c *server.Conn) { c.SendText("welcome") }
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		s.Broadcast(op, p)
	}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ada, bob := dial(url), dial(url)
	fmt.Println(receive(ada), receive(bob))
	ada.SendText("Hello, all")
	fmt.Println("Ada hears:", receive(ada))
	fmt.Println("Bob hears:", receive(bob))
	ada.Close(wire.NormalClosure, "")
	bob.Close(wire.NormalClosure, "")
	// Output:
	// welcome welcome
	// Ada hears: Hello, all
	// Bob hears: Hello, all
}

// A broadcast to some connections: those in the same room.
func ExampleBroadcast() {
	s := new(server.Server)
	room := func(path string) func(yield func(*server.Conn) bool) {
		return func(yield func(*server.Conn) bool) {
			for c := range s.Conns() {
				if c.Path() == path && !yield(c) {
					return
				}
			}
		}
	}
	s.Handler.Open = func(c *server.Conn) { c.SendText("welcome to " + c.Path()) }
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		server.Broadcast(room(c.Path()), op, p)
		s.Broadcast(op, []byte("all rooms: closing time"))
	}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ada, bob := dial(url+"/red"), dial(url+"/blue")
	fmt.Println(receive(ada))
	fmt.Println(receive(bob))
	ada.SendText("Hello, red")
	fmt.Println(receive(ada))
	fmt.Println(receive(ada))
	fmt.Println(receive(bob))
	ada.Close(wire.NormalClosure, "")
	bob.Close(wire.NormalClosure, "")
	// Output:
	// welcome to /red
	// welcome to /blue
	// Hello, red
	// all rooms: closing time
	// all rooms: closing time
}

// Authorize admits or refuses a client before the connection is open.
func ExampleServer_authorize() {
	s := &server.Server{
		Handler: server.Handler{Open: func(c *server.Conn) { c.SendText("come in") }},
		Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if subtle.ConstantTimeCompare([]byte(token), []byte("open sesame")) == 0 {
				return &handshake.Error{
					Status: 401,
					Reason: "wrong token",
					Header: map[string][]string{"WWW-Authenticate": {"Bearer"}},
				}
			}
			a.Header = map[string][]string{"Set-Cookie": {"session=1; HttpOnly"}}
			return nil
		},
	}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	_, err := client.Dial(context.Background(), url, nil)
	var refused *client.HandshakeError
	if errors.As(err, &refused) {
		fmt.Println(refused.Response.Status, refused.Response.Header.Get("WWW-Authenticate"))
	}
	c, err := client.Dial(context.Background(), url, &client.Config{
		Header: map[string][]string{"Authorization": {"Bearer open sesame"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receive(c), c.Response().Header.Get("Set-Cookie"))
	c.Close(wire.NormalClosure, "")
	// Output:
	// 401 Bearer
	// come in session=1; HttpOnly
}

// A page in a browser cannot set header fields. It offers an access token as a
// subprotocol, beside a real one:
//
//	new WebSocket(url, ["chat", "token." + token])
//
// The server selects the real one, and never repeats the token.
func ExampleServer_subprotocolToken() {
	s := &server.Server{
		Subprotocols: []string{"chat"},
		Handler:      server.Handler{Open: func(c *server.Conn) { c.SendText("come in") }},
		Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
			token, ok := a.SubprotocolToken(r, "token.")
			if !ok || subtle.ConstantTimeCompare([]byte(token), []byte("c2VzYW1l")) == 0 {
				return &handshake.Error{Status: 401, Reason: "wrong token"}
			}
			return nil
		},
	}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c, err := client.Dial(context.Background(), url, &client.Config{
		Subprotocols: []string{"chat", "token.c2VzYW1l"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receive(c), c.Subprotocol())
	c.Close(wire.NormalClosure, "")
	// Output: come in chat
}

// A load balancer checks the server by plain HTTP on the WebSocket port.
func ExampleServer_http() {
	s := &server.Server{HTTP: func(r *handshake.Request) *handshake.HTTPAnswer {
		if r.Path() == "/healthz" {
			return &handshake.HTTPAnswer{Status: 200, Body: []byte("ok")}
		}
		return nil // 426: this is a WebSocket endpoint
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	for _, path := range []string{"/healthz", "/"} {
		resp, err := http.Get(strings.Replace(url, "ws", "http", 1) + path)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(path, resp.Status)
	}
	// Output:
	// /healthz 200 OK
	// / 426 Upgrade Required
}

// Shutdown closes all connections with 1001, and returns when they have ended.
func ExampleServer_Shutdown() {
	s := new(server.Server)
	ln, url := listen()
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()

	c := dial(url)
	left := make(chan string)
	go func() { left <- receive(c) }()

	fmt.Println(s.Shutdown(context.Background()))
	fmt.Println(<-left)
	fmt.Println(<-served)
	// Output:
	// <nil>
	// websocket: closed by the peer with 1001 (going away)
	// websocket: server closed
}

// Run serves a connection over any net.Conn. The opening handshake is complete.
func ExampleServer_Run() {
	s := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Sendf("%s, twice %s", p, p) },
	}}
	ours, theirs := net.Pipe()
	done := make(chan error)
	go func() { done <- s.Run(ours, server.Handshake{}) }()

	frame := func(op wire.Opcode, p string) []byte {
		h := wire.Header{Fin: true, Opcode: op, Masked: true, Key: wire.NewMaskingKey([4]byte{1, 2, 3, 4})}
		return wire.AppendFrame(nil, h, []byte(p))
	}
	buf := make([]byte, 100)
	theirs.Write(frame(wire.Text, "Hello"))
	n, _ := theirs.Read(buf)
	answer, _, _ := wire.DecodeFrame(buf[:n])
	fmt.Printf("%v %s\n", answer.Opcode, answer.Payload)
	theirs.Write(frame(wire.Close, ""))
	theirs.Read(buf)
	fmt.Println(<-done)
	// Output:
	// text Hello, twice Hello
	// <nil>
}

// Topics are rooms, or channels: the program subscribes connections, and a
// message that is published reaches the subscribers. Here clients choose one by
// the path.
func ExampleTopics() {
	var topics server.Topics
	s := &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) {
			if err := topics.Subscribe(c, c.Path()); err != nil {
				c.Close(wire.PolicyViolation, "")
				return
			}
			c.SendText("welcome")
		},
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			topics.PublishExcept(c, c.Path(), op, p) // to the others
		},
	}}
	ln, url := listen()
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	ada, bob, eve := dial(url+"/go"), dial(url+"/go"), dial(url+"/music")
	for _, c := range []*client.Conn{ada, bob, eve} {
		fmt.Println(receive(c))
	}
	ada.SendText("Hello")
	fmt.Println("bob:", receive(bob))
	n, err := topics.Publish("/music", wire.Text, []byte("all quiet"))
	fmt.Println("eve:", receive(eve))
	fmt.Println(n.Sent, err, topics.Count("/go"))
	for _, c := range []*client.Conn{ada, bob, eve} {
		c.Close(wire.NormalClosure, "")
	}
	// Output:
	// welcome
	// welcome
	// welcome
	// bob: Hello
	// eve: all quiet
	// 1 <nil> 2
}
