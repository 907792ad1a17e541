// Package server serves WebSocket connections (RFC 6455).
//
//	s := &server.Server{Handler: server.Handler{
//		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
//			c.Send(op, p)
//		},
//	}}
//	log.Fatal(s.ListenAndServe("localhost:8080"))
//
// A [Handler] is a set of functions that are called for what happens on a
// connection: Open, Message, Partial, Error, Close; or one, Serve, that runs for
// the life of the connection and receives by itself. A [Server] accepts
// connections, from a listener, from an http.Handler (package httpupgrade) or
// already upgraded ([Server.Run]), and looks after their limits and timeouts.
//
// # What holds
//
//   - The events of one connection come in order and never overlap.
//   - Close comes once after Open, and nothing after Close.
//   - A payload handed to a handler is the server's again when the handler
//     returns.
//   - A handler may block; that delays its own connection only.
//   - A client that does not read ends its own connection and harms no other.
//   - Pings are answered, Close frames are answered, and connections on which
//     nothing comes are pinged and, if that brings nothing, ended.
package server
