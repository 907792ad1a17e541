package wstest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// shouting is the program under test: a server's handler.
var shouting = server.Handler{
	Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		c.SendText(strings.ToUpper(string(p)))
	},
}

// ask is the program under test: something that a client does.
func ask(ctx context.Context, cfg *client.Config, question string) (string, error) {
	c, err := client.Dial(ctx, "ws://server.example/ask", cfg)
	if err != nil {
		return "", err
	}
	defer c.Close(wire.NormalClosure, "")
	if err := c.SendText(question); err != nil {
		return "", err
	}
	m, err := c.Receive(ctx)
	return m.Text(), err
}

// A server's handler is tested by a client that follows a script.
func Example() {
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: shouting}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	nc, err := ln.Dial()
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	fmt.Println(wstest.NewClient(nc).Play(`
		open /
		send text more "Hel"
		send ping "between two fragments"
		send continuation "lo"
		expect pong "between two fragments"
		expect text "HELLO"
		send close 1000
		expect close 1000
		expect end
	`))
	// Output: <nil>
}

// A program that is a client is tested by a server that follows a script, which
// here expects another Close than the program sends.
func ExampleNewServer() {
	ours, theirs := wstest.Pipe(wstest.Plan{})
	played := make(chan error, 1)
	go func() {
		defer theirs.Close()
		played <- wstest.NewServer(theirs).Play(`
			open /ask
			expect text "6 x 7"
			send text "42"
			expect close 1001
			send close 1000
		`)
	}()
	answer, err := ask(context.Background(), &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
	}, "6 x 7")
	fmt.Println(answer, err)
	fmt.Println(<-played)
	// Output:
	// 42 <nil>
	// wstest: line 5, expect close 1001: got close 1000 ""
}

// Server and client in one test, without a port.
func ExampleListen() {
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: shouting}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	fmt.Println(ask(context.Background(), &client.Config{DialContext: client.DialFunc(ln.DialContext)}, "hello"))
	// Output: HELLO <nil>
}

// The program is run with a reset at each position. The number of bytes of a run
// without faults is the number of positions.
func ExampleResetAt() {
	var plan wstest.Plan
	ln := wstest.Listen(func(int) wstest.Plan { return plan })
	s := &server.Server{Handler: shouting}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	cfg := &client.Config{DialContext: client.DialFunc(ln.DialContext)}

	ask(context.Background(), cfg, "hello")
	length := ln.Link(0).ToClient.Read()
	var answers, failed int
	for at := range length {
		plan = wstest.Plan{ToClient: wstest.Faults{Cut: wstest.ResetAt(at)}}
		switch answer, err := ask(context.Background(), cfg, "hello"); {
		case err == nil && answer == "HELLO":
			answers++
		case errors.Is(err, wstest.ErrReset):
			failed++
		default:
			fmt.Printf("reset at %d: %q, %v\n", at, answer, err)
		}
	}
	fmt.Println(failed > 0, answers == len("\x88\x02\x03\xe8")) // the Close is all that may be missing
	// Output: true true
}

// A link is stalled and released while it is used.
func ExampleFlow() {
	client, server := wstest.Pipe(wstest.Plan{})
	client.Link().ToServer.Stall()
	fmt.Fprint(client, "on its way")
	fmt.Println(client.Link().ToServer.Written(), client.Link().ToServer.Read())
	client.Link().ToServer.Release()

	buf := make([]byte, 100)
	n, err := server.Read(buf)
	fmt.Printf("%s %v\n", buf[:n], err)
	// Output:
	// 10 0
	// on its way <nil>
}

// Real sockets, on a bad day: small buffers, and bytes that come one by one.
func ExampleRelay() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := &server.Server{Handler: shouting}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	bad := wstest.Faults{Split: wstest.Sizes(1), Buffer: 16}
	relay, err := wstest.NewRelay(ln.Addr().String(), func(int) wstest.Plan {
		return wstest.Plan{ToServer: bad, ToClient: bad}
	})
	if err != nil {
		log.Fatal(err)
	}
	defer relay.Close()

	fmt.Println(ask(context.Background(), &client.Config{
		DialContext: client.DialFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, relay.Addr())
		}),
	}, "hello"))
	// Output: HELLO <nil>
}

// Any server that sends nothing by itself can be held against the conversations
// of the golden corpus; those that need other limits or calls of its program are
// left out here.
func ExamplePeer_PlayCorpus() {
	ln := wstest.Listen(nil)
	s := new(server.Server)
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	scripts, err := corpus.Scripts()
	if err != nil {
		log.Fatal(err)
	}
	followed := 0
	for _, script := range scripts {
		if script.Role != corpus.Server || script.File != "08-control.txt" {
			continue
		}
		nc, err := ln.Dial()
		if err != nil {
			log.Fatal(err)
		}
		p := wstest.NewClient(nc)
		err = p.Play("open /")
		if err == nil {
			err = p.PlayCorpus(script)
		}
		if err == nil {
			followed++
		}
		p.Close()
	}
	fmt.Println(followed > 20)
	// Output: true
}
