// Package client is a blocking WebSocket client (RFC 6455).
//
//	func hello(ctx context.Context) (reply string, err error) {
//		c, err := client.Dial(ctx, "wss://example.com/chat", nil)
//		if err != nil {
//			return "", err
//		}
//		defer c.Close(wire.NormalClosure, "")
//		if err := c.SendText("hello"); err != nil {
//			return "", err
//		}
//		m, err := c.Receive(ctx)
//		return m.Text(), err
//	}
//
// [Dial] opens a [Conn]. [Conn.Receive] returns whole messages,
// [Conn.ReceiveInto] does not allocate, [Conn.ReceiveJSON] decodes,
// [Conn.NextReader] streams, and [Conn.Messages] iterates. If the context of
// one of them ends, the connection stays usable, even in the middle of a frame.
//
// [Reconnecting] is a loop over connections, with back-off, a fresh token for
// each and a hook that subscribes again.
//
// [Config] has the limits and timeouts, which are on by default, and proxies,
// redirects and cookies, which are off. A program links only those that it
// sets. Package sockets, in a directory below, keeps connections by name.
//
// The methods of Conn are those of server.Conn: docs/api.md has the table.
package client
