// Package gobwas wraps github.com/gobwas/ws.
package gobwas

import (
	"context"
	"net"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is gobwas/ws, with wsutil's check of UTF-8.
var Library = peers.Library{
	Name:    "gobwas",
	Title:   "gobwas/ws",
	Module:  "github.com/gobwas/ws",
	Serve:   serve,
	Dial:    dial,
	Prepare: func(text bool, p []byte) (peers.Prepared, error) { return Compile(text, p) },
}

func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			if compressed, err := Upgrade(nc, o.Deflate); err == nil {
				_ = run(nc, nc, ws.StateServerSide, compressed, o, h) // the peer has received the error
			}
		}()
	}
}

// Upgrade makes the opening handshake of a server (the README, "Zero-copy
// upgrade"). It reports whether permessage-deflate was negotiated.
func Upgrade(nc net.Conn, deflate bool) (compressed bool, err error) {
	if !deflate {
		_, err := ws.Upgrade(nc)
		return false, err
	}
	extension := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	upgrader := ws.Upgrader{Negotiate: extension.Negotiate}
	if _, err := upgrader.Upgrade(nc); err != nil {
		return false, err
	}
	_, compressed = extension.Accepted()
	return compressed, nil
}

func dial(ctx context.Context, url string, o peers.Options, h peers.Handler) error {
	var dialer ws.Dialer
	if o.Deflate {
		dialer.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	nc, buffered, answer, err := dialer.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer peers.CloseAfter(ctx, nc)()
	if buffered != nil { // with bytes that followed the response
		return run(nc, buffered, ws.StateClientSide, len(answer.Extensions) > 0, o, h)
	}
	return run(nc, nc, ws.StateClientSide, len(answer.Extensions) > 0, o, h)
}
