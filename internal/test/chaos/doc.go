// Package chaos runs servers among handlers and peers that misbehave, in every
// form in which a connection can be served, and checks that the promises of
// package server hold all the same.
//
// A run is a sequence of rounds. A round has one value of GOMAXPROCS and one
// server for each form: plain TCP, TLS by ServeTLS, a listener of crypto/tls,
// connections taken over from net/http with and without TLS, connections
// wrapped in a net.Conn of the program, with and without TLS, and connections
// in memory. Each server has a SlowPolicy, small limits for its backlog, and
// two handlers that may block at the same time. In every second round the time
// limits are short and are reached; in the others they are so long that a
// connection that reaches one shows a fault.
//
// Workers run peers, one after the other: peers that behave, and peers that
// reset, half-close, trickle, stop reading, fall silent, flood TLS KeyUpdates,
// or attack as in package hostile. Their messages make the handlers echo,
// sleep, block, panic, exit their goroutine, send to other connections,
// broadcast, close and cut connections.
//
// The checks:
//
//   - Every message arrives intact, and those of a stream in order and without
//     a gap, at handlers and at every peer that reads.
//   - A message that Send has accepted arrives before the Close.
//   - Open is called first, Error at most once, Close exactly once and last.
//     The events of a connection do not overlap.
//   - Only the application ends the connection of a peer that behaves.
//   - No connection lasts longer than its limits allow.
//   - No connection buffers more than MaxBacklog, a message and some slack.
//   - Probes receive their echoes in time.
//   - Shutdown returns in time and leaves no connection and no handler behind.
//   - Stats agree with the events, and Stats.Backlog ends at 0.
//   - Goroutines and descriptors end with their round.
//   - Idle servers use no processor time.
//
// A failed check names the connection and prints its history, from both ends.
//
//	go test ./internal/test/chaos                                  three short rounds
//	go test -race ./internal/test/chaos -args -chaos.time 60s      many rounds
//	go test ./internal/test/chaos -args -chaos.seed 7              the random choices of a seed
//
// With the build tag portable every form is served by goroutines. A seed
// repeats the random choices of peers and handlers, not the scheduling.
package chaos
