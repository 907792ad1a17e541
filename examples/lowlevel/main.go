// Lowlevel is a WebSocket client over a TCP connection, made from packages
// handshake and wire. docs/low-level.md explains it.
//
//	go run ./examples/lowlevel ws://localhost:8080/
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	u, err := handshake.ParseURL(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	nc, err := net.Dial("tcp", u.Address())
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	if err := echo(nc, u, "Hello, 世界", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// echo opens a WebSocket connection over nc, sends a text, prints the echo, and
// closes the connection.
func echo(nc net.Conn, u *handshake.URL, text string, out io.Writer) error {
	in, err := open(nc, u)
	if err != nil {
		return err
	}
	if err := send(nc, wire.Text, []byte(text)); err != nil {
		return err
	}
	for {
		frame, n, err := wire.DecodeFrame(in)
		if err != nil {
			return err // a *wire.Error with the status code for a Close
		}
		if n == 0 { // the frame is incomplete
			if in, err = more(nc, in); err != nil {
				return err
			}
			continue
		}
		in = in[n:]
		switch frame.Opcode {
		case wire.Text:
			fmt.Fprintf(out, "%s (FIN %t, %d bytes)\n", frame.Payload, frame.Fin, frame.Length)
			payload, err := wire.AppendClosePayload(nil, wire.NormalClosure, "done")
			if err != nil {
				return err
			}
			if err := send(nc, wire.Close, payload); err != nil {
				return err
			}
		case wire.Ping:
			if err := send(nc, wire.Pong, frame.Payload); err != nil {
				return err
			}
		case wire.Close:
			code, reason, err := wire.ParseClosePayload(frame.Payload)
			fmt.Fprintf(out, "closed: %v %q\n", code, reason)
			return err
		}
	}
}

// open makes the opening handshake. It returns the bytes behind the response.
func open(nc net.Conn, u *handshake.URL) ([]byte, error) {
	offer := &handshake.ClientOffer{Host: u.HostHeader(), Target: u.Target, Key: handshake.NewKey()}
	request, err := handshake.AppendRequest(nil, offer)
	if err != nil {
		return nil, err
	}
	if _, err := nc.Write(request); err != nil {
		return nil, err
	}
	var parser handshake.ResponseParser
	for {
		in, err := more(nc, nil)
		if err != nil {
			return nil, err
		}
		response, n, err := parser.Parse(in)
		if err != nil {
			return nil, err
		}
		if response != nil {
			_, err := handshake.ValidateResponse(response, offer)
			return in[n:], err
		}
	}
}

// send writes one masked frame.
func send(nc net.Conn, op wire.Opcode, payload []byte) error {
	var key [4]byte
	rand.Read(key[:]) // does not fail
	h := wire.Header{Fin: true, Opcode: op, Masked: true, Key: wire.NewMaskingKey(key)}
	_, err := nc.Write(wire.AppendFrame(nil, h, payload))
	return err
}

// more reads and appends to in. It refuses a frame of more than 1 MiB.
func more(nc net.Conn, in []byte) ([]byte, error) {
	if len(in) > 1<<20 {
		return nil, errors.New("frame of more than 1 MiB")
	}
	buf := make([]byte, 4096)
	n, err := nc.Read(buf)
	if err != nil {
		return nil, err
	}
	return append(in, buf[:n]...), nil
}
