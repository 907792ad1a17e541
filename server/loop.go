package server

import (
	"io"
	"net"
	"time"
)

// This file is the seam between connections and the loop that serves them.
//
// A loop moves bytes between sockets and connections and knows nothing about
// WebSocket. For each socket it makes room for a Conn, which open begins, and calls, one
// after the other and never two at once for the same connection,
//
//	receive(b)  for the bytes that arrive, in order; b is the loop's again when
//	            it returns. What the program is not ready for is returned: it
//	            is to be received again when takesMore, which Resume tells. If
//	            more is false, the connection wants no more: the loop drains
//	            the socket briefly, closes it and calls lost.
//	drain()     when drained has said that the program wants to be told. As with
//	            receive, the connection wants no more if more is false.
//	lost(err)   once, when the socket has ended, as the last call. If the client has
//	            ended its side, the loop calls inputEnded, and lost when takesEnd,
//	            which Resume tells, and the backlog is empty: the client may read.
//
// What a loop offers for each socket is a transport.

// transport is a socket as a connection sees it. Its methods may be called from
// any goroutine; Write only by one at a time, which the engine sees to.
type transport interface {
	// attach is called once, before all else, with the connection.
	attach(c *Conn)

	// Write takes all of p or fails. It does not keep p. What the system does not
	// take is kept in a backlog; when that has become empty, the transport calls
	// the connection's drained, and drain if that wants it.
	io.Writer

	// Buffered returns the size of the backlog in bytes.
	Buffered() int

	// AwaitBacklog returns when enough returns true for the size of the backlog,
	// or the connection cannot be written to any more.
	AwaitBacklog(enough func(size int) bool)

	// Unacknowledged returns how many bytes the client's system has not
	// acknowledged of those that are not in the backlog any more, -1 if that is
	// not known.
	Unacknowledged() int

	// Choked reports whether nothing is read because the client does not take
	// what was answered. It is WriteTimeout that ends that.
	Choked() bool

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

// lingerTimeout is how long a loop reads on, and throws away, from a connection that
// wants no more, so that our last frame is not lost (RFC 6455, Section 7.1.1).
const lingerTimeout = time.Second
