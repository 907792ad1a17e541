// Package peer runs WebSocket implementations as echo peers, for the judge and
// for the command line, in both roles, as their documentation advises for a
// correct echo. UTF-8 checks and compression are on where they are options, and
// messages may have MaxMessage bytes.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/coder"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
	"github.com/fibersock/fibersock/interop/peers/gorilla"
	"github.com/fibersock/fibersock/interop/peers/gws"
	"github.com/fibersock/fibersock/interop/peers/xnet"
)

// MaxMessage is how many bytes of one message a peer accepts, where it has such a limit. The judge's longest message has half of it.
const MaxMessage = 32 << 20

// A Peer is an implementation.
type Peer struct {
	Name    string // a word that names it on the command line and in file names
	Title   string // a readable name
	Package string // its Go module or npm package, or the name of the program's package

	// Serve echoes on addr until ctx ends. It calls ready with its URL once it
	// listens.
	Serve func(ctx context.Context, addr string, ready func(url string)) error

	// Drive takes part in the cases of the fuzzing server at url under the name
	// agent, up to parallel of them at a time: it requests their number, echoes
	// in each, and requests the reports.
	Drive func(ctx context.Context, url, agent string, parallel int) error
}

// All returns the peers, ours first.
func All() []Peer {
	list := []Peer{fibersock}
	for _, l := range []peers.Library{gorilla.Library, coder.Library, gobwas.Library, gws.Library, xnet.Library} {
		list = append(list, library(l))
	}
	return append(list, nodeWS, pythonWebsockets)
}

// Find returns the peer with this name.
func Find(name string) (Peer, error) {
	var names []string
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}

// serving returns a Serve that listens on addr and leaves the rest to serve, which returns soon after its listener is closed.
func serving(serve func(net.Listener) error) func(context.Context, string, func(string)) error {
	return func(ctx context.Context, addr string, ready func(string)) error {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		over := context.AfterFunc(ctx, func() { ln.Close() })
		defer over()
		ready("ws://" + ln.Addr().String() + "/")
		err = serve(ln)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	}
}

// library returns a wrapped library as a peer, with all checks and compression.
func library(l peers.Library) Peer {
	options := peers.Options{MaxMessage: MaxMessage, Deflate: true, Takeover: true, CheckText: true}
	return Peer{
		Name:    l.Name,
		Title:   l.Title,
		Package: l.Module,
		Serve:   serving(func(ln net.Listener) error { return l.Serve(ln, options, peers.Handler{}) }),
		Drive: driving(
			func(ctx context.Context, url string) { _ = l.Dial(ctx, url, options, peers.Handler{}) },
			func(ctx context.Context, url string) (string, error) {
				var first string
				errReceived := errors.New("received")
				err := l.Dial(ctx, url, options, peers.Handler{Message: func(_ peers.Conn, _ bool, p []byte) error {
					first = string(p)
					return errReceived
				}})
				if errors.Is(err, errReceived) {
					err = nil
				}
				return first, err
			},
		),
	}
}
