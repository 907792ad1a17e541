package serve

import (
	"net"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library returns the Peer.Serve of a wrapped library: it echoes, or
// broadcasts.
func Library(l peers.Library, parallel bool) func(net.Listener, Options) error {
	return func(ln net.Listener, o Options) error {
		options := peers.Options{
			MaxMessage: o.MaxMessage, Deflate: o.Deflate, Takeover: o.Takeover, WindowBits: o.WindowBits, Parallel: parallel,
			Cert: o.Cert, Key: o.Key,
		}
		return l.Serve(ln, options, Handler(l, o))
	}
}

// Handler returns the handler of a server of l.
func Handler(l peers.Library, o Options) peers.Handler {
	if !o.Broadcast {
		return peers.Handler{Block: block, BlockSize: BlockingSize}
	}
	var group Group[peers.Conn]
	return peers.Handler{
		Open:  func(c peers.Conn) error { group.Add(c); return nil },
		Close: func(c peers.Conn) { group.Remove(c) },
		Message: func(_ peers.Conn, text bool, p []byte) error {
			BlockIfAsked(!text, p)
			m, err := l.Prepare(text, p)
			if err != nil {
				return err
			}
			defer m.Release()
			for _, c := range group.Members() {
				_ = m.SendTo(c) // the reader of a lost connection ends it
			}
			return nil
		},
	}
}
