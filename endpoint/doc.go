// Package endpoint is the WebSocket protocol engine: one side of a connection
// after the opening handshake (RFC 6455, Sections 5 to 8), without sockets,
// clocks and goroutines. Packages client and server are built on it. Use it
// directly to run WebSocket over another transport: an event loop, a QUIC or
// HTTP/2 stream, a serial line.
//
// # Receiving
//
// Give the bytes that arrive to [Endpoint.Receive], in order. It consumes a
// prefix of them and returns the next [Event]: a message, a piece of a message,
// a control frame, the peer's Close or the failure of the connection.
//
//	// received handles b, the next bytes from the peer of e.
//	func received(e *endpoint.Endpoint, b []byte) error {
//		for {
//			ev, n := e.Receive(time.Time{}, b)
//			b = b[n:]
//			switch ev.Kind {
//			case endpoint.KindNone:
//				return nil // all of b is consumed; read more
//			case endpoint.KindMessage:
//				fmt.Printf("%v %q\n", ev.Opcode, ev.Payload)
//			case endpoint.KindClose, endpoint.KindFailed:
//				return ev.Err
//			}
//		}
//	}
//
// Receive unmasks in place, and the payload of a message that arrived at once
// is a part of b. It is valid until the next call of Receive.
//
// # Sending
//
// [Endpoint.Send], [Endpoint.Ping], [Endpoint.Close] and the other methods that
// send may be called from any goroutine. Each frame is written to the io.Writer
// of [New]. A Write must take all bytes or fail. It may block; with
// [Config.Background], Receive does not wait for it.
//
// The engine writes the replies that the RFC requires: a Pong for a Ping, and a
// Close for a Close or a broken rule.
//
// # Ending
//
// After KindClose or KindFailed, close the transport: a server at once, a
// client when the server has closed it. Call [Endpoint.TransportClosed] when
// the transport ends by itself, and [Endpoint.Abort] to end the connection
// without a closing handshake. [Endpoint.Err] then says why the connection
// ended.
//
// # Invariants
//
//   - The engine reads no clock and starts no goroutine. It blocks only in the
//     writer.
//   - After KindClose or KindFailed, Receive ignores its input.
//   - At most one Close frame is sent, and no data frame after it.
//   - No memory is sized by a length that the peer declares, only by bytes that
//     have arrived. Limits are checked when a header arrives.
//   - The number of queued control frames is bounded.
//   - Client and server differ in masking, and in the order in which they close
//     the transport.
//   - The sender's lock is taken before the lock of the control queue, and
//     before locks of the writer.
package endpoint
