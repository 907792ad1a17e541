// Package server serves WebSocket connections (RFC 6455).
//
//	s := &server.Server{Handler: server.Handler{
//		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
//			c.Send(op, p)
//		},
//	}}
//	log.Fatal(s.ListenAndServe("localhost:8080"))
//
// A [Handler] is a set of functions. In the event style, the server calls Open,
// Message, Partial, Control, Error and Close. In the blocking style, it calls
// Serve once for each connection, on a goroutine, and Serve receives messages
// by [Conn.Receive].
//
// A [Server] serves the connections of a listener, of an http.Server (package
// httpupgrade), or those whose opening handshake the program does itself
// ([Server.Adopt], [Server.Run], [Server.Accept]). It enforces limits and
// timeouts.
//
// # Guarantees
//
//   - Events of one connection are delivered in order and do not overlap.
//   - Close is called once after Open, and no handler after Close.
//   - A payload belongs to the server again when the handler returns.
//   - A handler may block. It delays its own connection only.
//   - A client that does not read ends its own connection and harms no other.
//   - Pings and Close frames are answered. Silent connections get heartbeats
//     and end without an answer.
//
// # Goroutines
//
// On Linux, a TCP connection has no goroutine. Neither has a TLS connection
// that the server makes over one: in ServeTLS, and in Serve with a listener of
// crypto/tls over a *net.TCPListener. One goroutine for each processor
// (GOMAXPROCS) waits for input by epoll and calls the handlers of ready
// connections, one after the other. If a handler does not return within a
// millisecond or two, another goroutine takes over the other connections, and
// the blocked one exits when its handler returns. The goroutines of a server
// are
//
//   - one for each call of Serve;
//   - one for each processor, and a watchdog, while there is a listener or a
//     connection;
//   - one for timeouts, while there are connections;
//   - one for each handler that blocks for more than a millisecond or two, up
//     to Server.MaxBlocked;
//   - one for each TLS handshake, from the client's first byte to the end of
//     the handshake or HandshakeTimeout; Server.MaxHandshakes bounds them;
//   - one for each connection with Handler.Serve;
//   - for short times, one for each connection that a timeout or Shutdown ends,
//     or that sends queued messages.
//
// Another connection has one goroutine for its handlers, and a second one while
// output is buffered. Other connections are all connections on other systems
// and with the build tag portable, and those of a net.Conn that is neither a
// *net.TCPConn nor TLS that the server makes over one. On macOS and the BSDs, the
// build tag kqueue selects the event loop of Linux, over kqueue. It is not the
// default because no such system has run it yet. The TLS connections of
// an http.Server are other connections, unless its listener is one of BelowTLS,
// and each of their writes needs a goroutine. MaxBlocked does not apply to
// other connections.
//
// # Listeners
//
// A *net.TCPListener is closed by Serve, by Shutdown or by the program, each of
// which ends Serve. Serve sets the options of package net (TCP_NODELAY, and
// keep-alive as in net.ListenConfig) on the listener when the first connection
// arrives, so that later connections inherit them.
package server
