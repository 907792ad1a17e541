// Package endpoint is the protocol engine that client and server share: one
// end of a WebSocket connection after the opening handshake (RFC 6455,
// Sections 5 to 8), without socket, clock or goroutine.
//
// # Receiving
//
// Whoever has the socket, the shell, hands the bytes that arrive to
// [Endpoint.Receive], in order and from one goroutine at a time. Receive takes
// a prefix of them, unmasks it in place and returns the next [Event]: a whole
// message, a piece of one, a control frame, the peer's Close, or the failure of
// the connection. The rest of the bytes is for the next call:
//
//	for {
//		ev, n := e.Receive(b)
//		b = b[n:]
//		if ev.Kind == endpoint.None {
//			break // all of b is used; read more
//		}
//		…
//	}
//
// [Endpoint.ReceiveMessage] is a faster way to the same, for messages that came
// whole; what it leaves is for Receive.
//
// # Sending
//
// Send, Ping, Pong, Close and the fragments of an [MessageWriter] message may be
// called from any goroutine. Frames are written to one io.Writer, which must
// take all that it is given or fail, under one lock: the order of the frames
// on the wire and the state of the closing handshake are one fact. What the
// RFC obliges an endpoint to answer, a Pong for a Ping and a Close for a Close
// or for a broken rule, the engine writes, from within Receive. Pongs may be
// written later and elsewhere: after a frame that is being written, by whoever
// writes it, and where [Config.Background] says.
//
// A server whose writer never waits may have the frames of a while collected, by
// [Endpoint.Cork], and written at once, by [Endpoint.Uncork]: the answers to all
// messages that arrived together, say.
//
// # Invariants
//
//   - The engine never reads a clock and never starts a goroutine. It blocks
//     only where its writer does. With a Config.Background, Receive waits for
//     the writer only to send a Close, after which it has nothing more to read.
//   - After Closing or Failed, Receive ignores whatever comes.
//   - At most one Close frame is sent, and no data frame after it.
//   - No memory is sized by a length that the peer declares, only by bytes
//     that have arrived; limits are checked when the header arrives.
//   - What the peer is owed but cannot be written yet is bounded.
//   - Client and server differ in three places: who masks, who must be
//     masked, and (in the shells) who closes TCP first.
package endpoint
