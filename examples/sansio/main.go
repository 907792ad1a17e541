// Sansio runs WebSocket over a transport of its own with package endpoint: here a
// pipe in memory, in place of a serial line or a QUIC stream. docs/sans-io.md
// explains it.
//
//	go run ./examples/sansio
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	near, far := net.Pipe()
	go func() {
		if err := serve(far); err != nil {
			log.Print(err)
		}
	}()
	if err := talk(near, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// serve echoes messages until the client closes the connection.
func serve(stream io.ReadWriteCloser) error {
	e := endpoint.New(stream, endpoint.Config{
		Role:       endpoint.Server,
		Limits:     endpoint.Limits{Message: 1 << 20},
		Background: func(f func()) { go f() },
	})
	return run(e, stream, func(op wire.Opcode, payload []byte) error {
		return e.Send(op, payload)
	})
}

// talk sends a text and closes the connection when it has received the echo.
func talk(stream io.ReadWriteCloser, out io.Writer) error {
	e := endpoint.New(stream, endpoint.Config{
		Role:       endpoint.Client,
		Background: func(f func()) { go f() },
	})
	go e.SendText("Hello, 世界")
	return run(e, stream, func(op wire.Opcode, payload []byte) error {
		fmt.Fprintf(out, "%v: %s\n", op, payload)
		return e.Close(wire.NormalClosure, "done")
	})
}

// run reads from the stream until the connection has ended.
func run(e *endpoint.Endpoint, stream io.ReadWriteCloser, message func(wire.Opcode, []byte) error) error {
	buf := make([]byte, 4096)
	for {
		n, err := stream.Read(buf)
		if ended, why := receive(e, buf[:n], message); ended {
			return end(e, stream, why)
		}
		if err != nil {
			return e.TransportClosed(err, stream.Close)
		}
	}
}

// receive handles the bytes b. It reports whether the connection has ended, and
// why.
func receive(e *endpoint.Endpoint, b []byte, message func(wire.Opcode, []byte) error) (ended bool, why error) {
	now := time.Now()
	for {
		ev, n := e.Receive(now, b)
		b = b[n:]
		switch ev.Kind {
		case endpoint.KindNone:
			return false, nil
		case endpoint.KindMessage:
			if err := message(ev.Opcode, ev.Payload); err != nil {
				return true, err
			}
		case endpoint.KindClose, endpoint.KindFailed:
			return true, ev.Err
		}
	}
}

// end closes the stream after the last frame. It returns nil if the peer closed
// the connection normally.
func end(e *endpoint.Endpoint, stream io.Closer, why error) error {
	e.FlushControl()
	e.Abort(why, stream.Close)
	var closed *endpoint.CloseError
	if errors.As(why, &closed) && closed.Code == wire.NormalClosure {
		return nil
	}
	return why
}
