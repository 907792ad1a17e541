package fuzz

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// echoes is a network on which every address is a server that sends back what it
// gets, except for these texts.
const (
	cutCommand   = "cut"    // it ends the transport
	closeCommand = "close " // and a code: it closes with that
	burstCommand = "burst " // and a number: it sends so many messages, "0", "1" and so on
)

type echoes struct{ serving sync.WaitGroup }

func (n *echoes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	n.serving.Go(func() {
		defer theirs.Close()
		serveEcho(theirs)
	})
	return ours, nil
}

// serveEcho is a connection of a server.
func serveEcho(nc net.Conn) {
	buf := make([]byte, 4<<10)
	rest, ok := acceptEcho(nc, buf)
	if !ok {
		return
	}
	writer := writerFunc(func(p []byte) (int, error) { return nc.Write(bytes.Clone(p)) })
	e := endpoint.New(writer, endpoint.Config{Role: endpoint.Server})
	for {
		for len(rest) > 0 {
			ev, n := e.Receive(time.Time{}, rest)
			rest = rest[n:]
			if ev.Kind == endpoint.KindMessage && !obey(e, nc, ev) {
				return
			}
		}
		if e.State() == endpoint.Closed {
			return
		}
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		rest = buf[:n]
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// acceptEcho does the opening handshake and returns what came behind it.
func acceptEcho(nc net.Conn, buf []byte) (rest []byte, ok bool) {
	var p handshake.RequestParser
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return nil, false
		}
		r, used, err := p.Parse(buf[:n])
		if err != nil {
			return nil, false
		}
		if r == nil {
			continue
		}
		u, err := handshake.ValidateRequest(r)
		if err != nil {
			return nil, false
		}
		response, err := handshake.AppendResponse(nil, &handshake.ServerAnswer{Key: u.Key})
		if err == nil {
			_, err = nc.Write(response)
		}
		return buf[used:n], err == nil
	}
}

// obey does what a message says, and reports whether the transport goes on.
func obey(e *endpoint.Endpoint, nc net.Conn, ev endpoint.Event) bool {
	text := string(ev.Payload)
	if text == cutCommand {
		return false
	}
	if code, ok := strings.CutPrefix(text, closeCommand); ok {
		n, _ := strconv.Atoi(code)
		_ = e.Close(wire.StatusCode(n), "as told")
		return true
	}
	if count, ok := strings.CutPrefix(text, burstCommand); ok {
		n, _ := strconv.Atoi(count)
		for i := range n {
			_ = e.SendText(strconv.Itoa(i)) // if it fails, so does the next Read
		}
		return true
	}
	_ = e.Send(ev.Opcode, ev.Payload)
	return true
}
