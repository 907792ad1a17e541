// Package load is the load generator of the benchmark suite: cheap WebSocket
// connections that check every reply.
//
// There are four loads: Echo (a closed loop of messages and their replies),
// Broadcast (one sends, all receive), Churn (connect, handshake, echo, close,
// repeat) and Hold (idle connections).
//
// # Checks
//
// Of every reply: opcode, FIN and continuation, RSV bits, MASK, minimal payload
// length, and the length of the message. One byte of every payload, the stamp,
// differs from message to message, so that a missing, doubled or reordered
// reply is found with it or with the next one. Of each Nth reply every byte of
// the payload. At the end each connection makes the closing handshake, which
// finds a doubled last reply. The first violation ends the run with a *Fault
// that has the connection, the expected and the actual input.
//
// With permessage-deflate length and stamp are known only after inflating,
// which is done for each Nth reply.
//
// # Costs
//
// On Linux without TLS one thread moves all bytes with epoll, with one receive
// and one send for all available bytes of a connection. Frames are built and
// masked before the run. The masking-key is random but the same for all
// messages of a connection: servers see ordinary frames; a browser could not do
// so (RFC 6455, Section 10.3). Payload that is not compared is dropped in the
// kernel and never copied. No message allocates memory. The kernel's TCP costs
// both ends of a loopback connection the same, so that even a minimal server
// costs about as much as the load. On other systems, and with TLS, two
// goroutines move the bytes of each connection.
//
// # Map
//
//	echo.go broadcast.go churn.go   the loads: order of messages, counting (scenario)
//	hold.go                         idle connections
//	run.go                          one run: sessions, attention, deadlines, the end
//	session.go reply.go             one connection without its socket: output, expected input
//	script.go text.go deflate.go    the messages, built in advance
//	upgrade.go                      the opening handshake
//	epoll.go goroutines.go          the shells, which move bytes
//	meter.go histogram.go           warm-up and duration, latencies, own processor time
package load
