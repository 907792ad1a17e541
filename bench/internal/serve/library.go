package serve

import (
	"net"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library returns the Peer.Serve of a wrapped library: it echoes, broadcasts, or
// publishes.
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
	var group Group[peers.Conn]
	var topics Topics[peers.Conn]
	switch {
	case o.Topics:
		return peers.Handler{
			Close: topics.Leave,
			Message: func(c peers.Conn, text bool, p []byte) error {
				if name, ok := TopicOf(!text, p); ok {
					topics.Join(c, name)
					return nil
				}
				return sendAll(l, topics.Members(c), text, p)
			},
		}
	case o.Broadcast:
		return peers.Handler{
			Open:  func(c peers.Conn) error { group.Add(c); return nil },
			Close: group.Remove,
			Message: func(_ peers.Conn, text bool, p []byte) error {
				BlockIfAsked(!text, p)
				return sendAll(l, group.Members(), text, p)
			},
		}
	case o.Work > 0:
		return peers.Handler{Message: func(c peers.Conn, text bool, p []byte) error {
			Compute(o.Work)
			return c.Send(text, p)
		}}
	}
	return peers.Handler{Block: block, BlockSize: BlockingSize}
}

// sendAll sends a message to all of to.
func sendAll(l peers.Library, to []peers.Conn, text bool, p []byte) error {
	m, err := l.Prepare(text, p)
	if err != nil {
		return err
	}
	defer m.Release()
	for _, c := range to {
		_ = m.SendTo(c) // the reader of a lost connection ends it
	}
	return nil
}
