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
// Workers play peers, one after the other: peers that behave, and peers that
// reset, half-close, trickle, stop reading, fall silent, flood TLS KeyUpdates,
// or attack as in package hostile. Their messages tell the handlers to echo,
// sleep, block, panic, exit their goroutine, send to other connections,
// broadcast, close and cut connections.
//
// The checks:
//
//   - Every message arrives intact, and those of a stream in order and without
//     a gap, at handlers and at every peer that reads.
//   - A message that Send has accepted arrives before the Close.
//   - Open comes first, Error at most once, Close exactly once, and nothing
//     after it; the events of a connection do not overlap.
//   - A peer that behaves loses its connection to no cause but the program's.
//   - No connection lasts longer than its limits allow.
//   - No connection buffers more than MaxBacklog, a message and some slack.
//   - Innocent clients get their echoes in time.
//   - Shutdown returns in time and leaves no connection and no handler behind.
//   - Stats agree with the events, and Stats.Backlog ends at 0.
//   - Goroutines and descriptors end with their round.
//   - Servers need no processor while nothing happens.
//
// A failed check names the connection and prints its history, from both ends.
//
//	go test ./internal/test/chaos                                  three short rounds
//	go test -race ./internal/test/chaos -args -chaos.time 60s      many rounds
//	go test ./internal/test/chaos -args -chaos.seed 7              the choices of a seed
//	go test ./internal/test/chaos -args -chaos.without goexit,deaf less, to find a cause
//
// The build tag portable has every form served by goroutines. A seed repeats the
// choices of peers and handlers, not the scheduler's.
package chaos
