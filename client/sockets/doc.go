// Package sockets keeps WebSocket connections by name, each with a bounded
// history of its messages.
//
//	var set sockets.Set
//	if _, err := set.Connect(ctx, "quotes", "wss://example.com/quotes", nil); err != nil {
//		return err
//	}
//	set.Send("quotes", map[string]any{"symbol": "ACME"})
//	m, err := set.Receive("quotes", 10*time.Second)
//	last, err := set.Messages("quotes", 50)
//
// It is for applications that address connections by a string, such as tools
// and scripts. With Options.Reconnect a name keeps a connection. Package client has the connections without names.
package sockets
