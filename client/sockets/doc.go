// Package sockets keeps WebSocket connections by name, each with a bounded
// history of its messages.
//
//	func quote(ctx context.Context, set *sockets.Set) error {
//		_, err := set.Connect(ctx, "quotes", "wss://example.com/quotes", nil)
//		if err != nil {
//			return err
//		}
//		err = set.Send("quotes", map[string]any{"symbol": "ACME"})
//		if err != nil {
//			return err
//		}
//		m, err := set.Receive("quotes", 10*time.Second)
//		fmt.Println(m.Text())
//		return err
//	}
//
// It is for applications that address connections by a string, such as tools
// and scripts. With Options.Reconnect, a name keeps a connection. Package
// client has the connections without names.
package sockets
