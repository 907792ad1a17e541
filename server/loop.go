package server

import (
	"io"
	"net"
	"time"
)

// This file is the seam between connections and the loop that serves them.
//
// A loop moves bytes between sockets and connections and knows nothing about
// WebSocket. For each socket it makes a connection by open, and then calls, one
// after the other and never two at once for the same connection,
//
//	receive(b)  for the bytes that arrive, in order; b is the loop's again when
//	            it returns. What the program is not ready for is returned: it
//	            is to be received again when takesMore, which Resume tells. If
//	            more is false, the connection wants no more: the loop drains
//	            the socket briefly, closes it and calls lost.
//	lost(err)   once, when the socket has ended, as the last call.
//
// What a loop offers for each socket is a transport.

// transport is a socket as a connection sees it. Its methods may be called from
// any goroutine; Write only by one at a time, which the engine sees to.
type transport interface {
	// Write takes all of p or fails. It does not keep p.
	io.Writer

	// Background is the endpoint.Config.Background that fits Write: nil if Write
	// never waits for the client, else socket.Background.
	Background() func(func())

	// Resume says that the connection takes what receive did not take.
	Resume()

	// Finish says that nothing more will be written: what has been written
	// still goes out. It takes at most wait.
	Finish(wait time.Duration)

	// Close cuts the connection: the loop will call lost.
	Close() error

	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// drainTime is how long a loop reads on, and throws away, from a connection that
// wants no more, so that our last frame is not lost (RFC 6455, Section 7.1.1).
const drainTime = time.Second
