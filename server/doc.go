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
// already upgraded ([Server.Adopt], [Server.Run]), and looks after their limits and
// timeouts.
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
//
// # Goroutines
//
// On Linux a TCP connection has none. One for each processor (GOMAXPROCS) waits for
// all connections and calls the handlers of those from which something has come, one
// after the other. If a handler has not returned after a millisecond or two, another
// goroutine goes on with the rest, and the one that it keeps ends with it. A server
// has in all
//
//   - the one that has called Serve, for each listener;
//   - one for each processor, and one that looks at what they do, as long as there
//     is a listener or a connection;
//   - one that looks after all time limits, as long as there are connections;
//   - one for each handler that has been running for more than a millisecond or two,
//     up to Server.MaxBlocked;
//   - one for each connection with Handler.Serve, in which that runs;
//   - and for moments, one for each connection that a time limit or Shutdown ends,
//     or for which a message had to wait and can be sent.
//
// A connection with TLS has one in which its handlers run, and another while the
// client does not take what it is sent; if the server has not put the TLS on it,
// another for each write. So has every connection on other systems,
// or if the program is built with the tag portable, and so has what is no TCP,
// or is wrapped in a net.Conn of somebody else; then there is none for each
// processor, and nothing for MaxBlocked to bound.
//
// # Listeners
//
// A *net.TCPListener is closed by Serve, by Shutdown, or by the program, and each of
// these ends Serve. What package net sets of each connection (that it does not delay
// what is small, and keep-alive as net.ListenConfig says), Serve sets of the listener
// with the first connection, so that those after it have it too.
package server
