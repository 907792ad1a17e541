// Slow shows the fate of messages for a client that reads nothing for a second,
// by Server.SlowPolicy and by Handler.Writable. Client and server are connected
// in memory.
//
//	go run ./examples/slow
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"text/tabwriter"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

const (
	messages    = 1000
	messageSize = 1 << 10
	backlog     = 128 << 10
)

// run prints a line for each policy.
func run(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "policy\tsent\treceived\tlast\tend")
	for _, policy := range []struct {
		name string
		slow server.SlowPolicy
	}{
		{"SlowClose", server.SlowClose},
		{"SlowDropNewest", server.SlowDropNewest},
		{"SlowDropOldest", server.SlowDropOldest},
		{"SlowBlock", server.SlowBlock},
	} {
		p := &producer{}
		s := &server.Server{
			MaxBacklog: backlog,
			SlowPolicy: policy.slow,
			// Serve has a goroutine of its own, and may wait for the client.
			Handler: server.Handler{Serve: p.sendAll},
		}
		if err := try(table, policy.name, s, p); err != nil {
			return err
		}
	}
	// An event handler does not wait. It sends only as much as the client reads.
	p := &producer{}
	s := &server.Server{
		MaxBacklog: backlog,
		Handler:    server.Handler{Open: p.sendSome, Writable: p.sendSome},
	}
	if err := try(table, "Writable", s, p); err != nil {
		return err
	}
	return table.Flush()
}

// A producer sends the numbers from 1 to messages.
type producer struct{ next, sent int }

// send sends the next number.
func (p *producer) send(c *server.Conn) error {
	p.next++
	err := c.SendBinary(binary.BigEndian.AppendUint64(make([]byte, messageSize-8), uint64(p.next)))
	if err == nil {
		p.sent++
	}
	return err
}

// sendAll sends all messages, and leaves the slow client to the policy.
func (p *producer) sendAll(c *server.Conn) {
	for p.next < messages {
		p.send(c) // the error is a *server.BacklogError if the message was dropped
	}
}

// sendSome sends until bytes stay in the buffer.
func (p *producer) sendSome(c *server.Conn) {
	for p.next < messages && c.Buffered() == 0 {
		if err := p.send(c); err != nil {
			return
		}
	}
	if p.next == messages {
		c.Close(wire.NormalClosure, "")
	}
}

// try connects a slow client to a server and prints a line of the table.
func try(table io.Writer, name string, s *server.Server, p *producer) error {
	ctx := context.Background()
	ln := wstest.Listen(nil)
	go s.Serve(ln)
	c, err := client.Dial(ctx, "ws://memory/", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	time.Sleep(time.Second)
	received, last := 0, uint64(0)
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			break
		}
		received++
		last = binary.BigEndian.Uint64(m.Payload[messageSize-8:])
	}
	if err := s.Shutdown(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%v\n", name, p.sent, received, last, c.CloseCode())
	return err
}
