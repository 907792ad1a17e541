package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// listen serves h on the loopback interface and returns its URL.
func listen(h server.Handler) (url string, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &server.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	return "ws://" + ln.Addr().String(), func() {
		s.Shutdown(context.Background())
		<-done
	}
}

// listenEcho serves a handler that sends each message back.
func listenEcho() (url string, stop func()) {
	return listen(server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }})
}

func ExampleDial() {
	url, stop := listenEcho()
	defer stop()

	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")

	if err := c.SendText("hello"); err != nil {
		fmt.Println(err)
		return
	}
	m, err := c.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Opcode, m.Text())
	// Output: text hello
}

// A server that refuses reports the reason.
func ExampleHandshakeError() {
	url, stop := listen(server.Handler{}) // it accepts no page of another site
	defer stop()

	_, err := client.Dial(context.Background(), url, &client.Config{
		Header: map[string][]string{"Origin": {"https://elsewhere.example"}},
	})
	var refused *client.HandshakeError
	if errors.As(err, &refused) {
		fmt.Println(refused.Response.Status)
	}
	// Output: 403
}

// A Receive that times out leaves the connection usable: a later one receives
// the message.
func ExampleConn_Receive_timeout() {
	url, stop := listenEcho()
	defer stop()
	c, err := client.Dial(context.Background(), url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := c.Receive(ctx); errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("nothing yet; the connection is", c.State())
	}
	c.SendText("now")
	m, err := c.Receive(context.Background())
	fmt.Println(m.Text(), err)
	// Output:
	// nothing yet; the connection is open
	// now <nil>
}

// A message can be longer than memory: it is written and read in pieces.
func ExampleConn_NextWriter() {
	url, stop := listenEcho()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")

	w, err := c.NextWriter(wire.Text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 10_000 {
		fmt.Fprintln(w, "line", i)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	op, r, err := c.NextReader(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := io.Copy(io.Discard, r)
	fmt.Println(op, n, err)
	// Output: text 98890 <nil>
}

func ExampleConn_NextReader() {
	url, stop := listen(server.Handler{Open: func(c *server.Conn) {
		c.SendFragment(wire.Text, []byte("one, "), false)
		c.SendFragment(wire.Text, []byte("two, "), false)
		c.SendFragment(wire.Text, []byte("three"), true)
	}})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")

	_, r, err := c.NextReader(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	var s strings.Builder
	io.Copy(&s, r)
	fmt.Println(s.String())
	// Output: one, two, three
}

// The loop ends after a normal closure by the server.
func ExampleConn_Messages() {
	url, stop := listen(server.Handler{Open: func(c *server.Conn) {
		c.SendText("one")
		c.SendText("two")
		c.Close(wire.NormalClosure, "that was all")
	}})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()

	for m, err := range c.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Text())
	}
	fmt.Println(c.Err())
	// Output:
	// one
	// two
	// websocket: closed by the peer with 1000 (normal closure): "that was all"
}

func ExampleConn_SendJSON() {
	url, stop := listenEcho()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")

	type point struct{ X, Y int }
	if err := c.SendJSON(point{X: 1, Y: 2}); err != nil {
		fmt.Println(err)
		return
	}
	var p point
	if err := c.ReceiveJSON(ctx, &p); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.X, p.Y)
	// Output: 1 2
}

// A round trip proves that the server answers, and measures the latency.
func ExampleConn_Ping() {
	url, stop := listenEcho()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")

	roundTrip, err := c.Ping(ctx)
	fmt.Println(roundTrip > 0, err)
	// Output: true <nil>
}

func ExampleConn_Close() {
	closed := make(chan string, 1)
	url, stop := listen(server.Handler{Close: func(_ *server.Conn, code wire.StatusCode, reason string) {
		closed <- code.String() + " " + reason
	}})
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Close(wire.GoingAway, "off to bed")
	fmt.Println(err, c.State())
	fmt.Println(<-closed)
	fmt.Println(c.SendText("hello?"))
	// Output:
	// <nil> closed
	// 1001 (going away) off to bed
	// websocket: closed by the peer with 1001 (going away)
}

// The application announces that it will leave, and reads on until the server
// has closed.
func ExampleConn_SendClose() {
	url, stop := listenEcho()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	if err := c.SendText("the last message"); err != nil {
		fmt.Println(err)
	}
	if err := c.SendClose(wire.NormalClosure, ""); err != nil {
		fmt.Println(err)
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(m.Text())
	}
	fmt.Println(c.CloseCode())
	// Output:
	// the last message
	// 1000 (normal closure)
}

// One buffer serves all messages.
func ExampleConn_ReceiveInto() {
	url, stop := listenEcho()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")
	for i := range 2 {
		if err := c.Sendf("message %d", i); err != nil {
			fmt.Println(err)
		}
	}
	buf := make([]byte, 0, 4096)
	for range 2 {
		op, payload, err := c.ReceiveInto(ctx, buf[:0])
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %s\n", op, payload)
	}
	// Output:
	// text message 0
	// text message 1
}

// The limit is checked at the header of each message. An application may raise
// it once it trusts the server.
func ExampleConn_SetLimits() {
	url, stop := listenEcho()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, url, &client.Config{Limits: client.Limits{Message: 1 << 10}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	c.SetLimits(0, 1<<20)
	if err := c.SendText(strings.Repeat("x", 2000)); err != nil {
		fmt.Println(err)
	}
	m, err := c.Receive(ctx)
	fmt.Println(len(m.Payload), err)
	// Output: 2000 <nil>
}

// The server restarts after each message. The loop connects and subscribes
// again until its context ends.
func ExampleReconnecting() {
	url, stop := listen(server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p)
			c.Close(wire.GoingAway, "restart")
		},
	})
	defer stop()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	number := 0
	cfg := &client.ReconnectConfig{
		Delay: 10 * time.Millisecond,
		Header: func(context.Context) (map[string][]string, error) { // a fresh token
			number++
			return map[string][]string{"Authorization": {fmt.Sprint("Bearer ", number)}}, nil
		},
		Subscribe: func(ctx context.Context, c *client.Conn) error {
			return c.SendText("subscribe")
		},
		Lost: func(o client.Outage) { fmt.Println("messages may be lost:", o.Err) },
	}
	for c, err := range client.Reconnecting(ctx, url, cfg) {
		if err != nil {
			fmt.Println(errors.Is(err, context.Canceled)) // the last pair
			break
		}
		for m, err := range c.Messages(ctx) {
			if err != nil {
				break
			}
			fmt.Println(number, m.Text())
			if number == 2 {
				cancel()
			}
		}
	}
	// Output:
	// 1 subscribe
	// messages may be lost: websocket: closed by the peer with 1001 (going away): "restart"
	// 2 subscribe
	// true
}

// A protocol of bytes over WebSocket: here, lines.
func ExampleConn_NetConn() {
	url, stop := listenEcho()
	defer stop()
	c, err := client.Dial(context.Background(), url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	nc := c.NetConn(wire.Binary) // a net.Conn, for tls.Client, http.Transport or ssh.NewClientConn
	defer nc.Close()
	fmt.Fprintln(nc, "one")
	fmt.Fprintln(nc, "two")
	nc.SetReadDeadline(time.Now().Add(time.Minute)) // loses no byte
	lines := bufio.NewScanner(nc)
	for range 2 {
		fmt.Println(lines.Scan(), lines.Text())
	}
	// Output:
	// true one
	// true two
}
