// Package client is a blocking WebSocket client (RFC 6455).
//
//	c, err := client.Dial(ctx, "wss://example.com/chat", nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close(wire.NormalClosure, "")
//	if err := c.SendText("hello"); err != nil {
//		return err
//	}
//	m, err := c.Receive(ctx)
//
// [Dial] opens a [Conn]. Messages come whole from [Conn.Receive], without
// allocation from [Conn.ReceiveInto], decoded from [Conn.ReceiveJSON], piece by
// piece from [Conn.NextReader], one after the other from [Conn.Messages]. A
// context that ends while one of them waits leaves the connection as it is, also
// in the middle of a frame.
//
// [Sockets] keeps connections by name, each with a bounded history of what came.
//
// Limits and timeouts are on by default: see [Config].
package client
