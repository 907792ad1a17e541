// Package load is the load generator of the benchmark suite: WebSocket connections that cost little and believe nothing.
//
// It offers four loads: Echo (a closed loop of messages and their replies), Broadcast (one sends, all receive),
// Churn (connect, handshake, echo, close, again) and Hold (idle connections).
//
// # What is verified
//
// Of every reply: opcode, FIN and continuation, RSV bits, MASK, minimal payload length, and the length of the message.
// One byte of every payload, the stamp, differs from message to message, so that a reply that is missing, doubled or out of turn
// is seen when it, or the one after it, comes. Of each Nth reply every byte of the payload.
// At the end each connection has the closing handshake, so that not even the last reply can come twice.
// The first thing that is not as it should be ends the run with a *Fault that says on which connection it was, what was expected and what came.
//
// With permessage-deflate a reply's length and stamp are known only after inflating it, which is done for each Nth.
//
// # What it costs
//
// On Linux without TLS one thread moves all bytes with epoll, one receive and one send for all that is ready on a connection.
// Frames are built and masked before the run. The masking-key is random but the same for all messages of a connection:
// to a server they are frames like any others, to a browser's user they would be an attack surface (RFC 6455, Section 10.3).
// What is not to be compared of a long payload is dropped in the kernel and never copied.
// Nothing is allocated per message. What is left is the kernel's TCP, which costs either end of a loopback connection the same,
// so that a server that does next to nothing itself cannot cost much more than the load. Elsewhere, and with TLS, two goroutines move the bytes of each connection.
//
// # Map
//
//	echo.go broadcast.go churn.go   the loads: who sends when, and what is counted (scenario)
//	hold.go                         idle connections
//	run.go                          one run: sessions, attention, deadlines, the end
//	session.go reply.go             one connection without its socket: what to send, what must come
//	script.go text.go deflate.go    the messages, built beforehand
//	upgrade.go                      the opening handshake
//	epoll.go goroutines.go          the shells: they only move bytes
//	meter.go histogram.go usage*.go warm-up and duration, latencies, own processor time
package load
