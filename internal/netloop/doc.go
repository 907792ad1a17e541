// Package netloop moves bytes between sockets and connections. It knows nothing
// of WebSocket: a [Conn] is anything that handles input and writes output, and
// a [Socket] is its way to the network. For a server there is a [Loop]; for a
// client, which reads from a goroutine of the application, a [Transport].
//
//	loop.go        the seam: Conn, Socket, Config, Loop
//	end.go         the states of a socket's end, in one table, for both loops
//	writelimit.go  limits of write buffers
//	writebuf.go    write buffers
//	transport.go   writes that block, with a WriteTimeout, and TLS over them
//	foreign.go     the same for a net.Conn whose deadlines may not work
//	sockio_*.go    read and write without waiting, for both loops
//
//	polled loop (epoll or kqueue)         goroutine loop (every net.Conn)
//	listener.go      accept, duplicate    goroutine.go   a socket and its goroutines
//	poller.go        pollers, events      park.go        parked, active goroutine
//	handoff.go       handlers that block  asyncwrite.go  Write without waiting
//	socket.go        one socket           ready_*.go     wait without reading
//	owner.go         its input            netconn.go     its end
//	write.go         its output           direct_*.go    system calls that do not wait
//	close.go         its end              batch.go       one write for several replies
//	deferred.go      output of handlers
//	                 to other sockets
//	tls.go           TLS over it
//	tlshandshake.go  its handshakes
//	tlsbelow.go      TLS of the program
//	tlsrecord.go     its records
//
//	epoll_linux.go   epoll                kqueue_bsd.go  kqueue's system calls
//	accept_linux.go  accept(2)            kqueue.go      its filters and events
//	syscall_linux.go the other calls
//	uring_linux.go   deferred output, one
//	                 call for many
//
// # Systems
//
// The polled loop is the default on Linux. The build tag portable leaves it out.
// On macOS and the BSDs, the build tag kqueue selects it; without the tag, these
// systems have the goroutine loop only. The tag is there because no such system
// has run the kqueue loop yet: it has been compiled for each, and its logic has
// been explored over a model of kqueue. It becomes the default when the tests
// have passed on macOS in CI.
//
// The kqueue loop lacks io_uring, and accepts by package net. Each of its
// pollers blocks a thread while it waits.
//
// # Writes
//
// The time without progress is bounded by the transports of transport.go and
// foreign.go, whose writes block until the peer has accepted all bytes. A
// client uses them as they are. For a server's connection, which must not wait
// for its peer, an asyncConn has the write buffer, and a goroutine that writes
// it to a transport. A write that a socket accepts at once sets no deadline.
// The polled loop has no blocking writes: its timer checks for progress.
//
// Writers that wait for space in a write buffer wait in Socket.AwaitSpace.
//
// # TLS
//
// The polled loop serves TLS by crypto/tls, over a net.Conn that does not block:
//
//   - A write buffer, and so deferred output, contains ciphertext. The order
//     of records is that in which TLS writes them, under its own lock: output
//     of the connection, answers to KeyUpdates, alerts and close_notify.
//     Deferred plaintext would have to be encrypted at times when the socket
//     is locked, which is after TLS in the lock order.
//   - Config.Limit counts ciphertext. The space for a write is computed from
//     its plaintext, which is smaller by 22 bytes for each record of TLS 1.3.
//   - After close_notify, or an error of TLS, the socket lingers: the client
//     may read the output, the alert or our close_notify, although it sends on.
//   - Answers to KeyUpdates are replies: see WriteLimit.PauseRead. A turn ends
//     after 16 of them.
//   - Large messages are decrypted into the buffer of Conn.ReadBuffer. The
//     ciphertext is read into the buffer of the loop, once for each event.
//   - A handshake blocks its goroutine. Goroutines that connections share could
//     be occupied by clients that send nothing, so each handshake has its own,
//     and the number is bounded by the user's limit of connections. Its time is
//     bounded by Socket.Abort.
//
// An idle connection keeps 5,200 bytes in crypto/tls (Go 1.26, AES-GCM, a
// client that offers X25519MLKEM768), none of which its API can release:
//
//	 896  the tls.Conn
//	1856  AES-GCM for both directions: round keys and a table
//	 300  secrets, for KeyUpdate, exported keys and resumption
//	 576  the buffer of records; without tlsrecord.go 2048
//	1536  the buffer of handshake messages, since the ClientHello
//
// crypto/tls allocates the buffer of records by the length in a header, up to
// 17 KiB, before the record has arrived, and never shrinks it.
//
// # Invariants
//
//   - Handlers of a connection (Received, Writable, InputClosed, Closed) never
//     overlap. Closed is called once, as the last of them.
//   - No input is read after Closed. A handler that has returned false for ok
//     is not called again with input.
//   - A Write accepts all of p or fails, and then all later ones fail.
//   - No byte is written after FIN, and FIN is sent only when the write buffer
//     is empty.
//   - While there is input and the connection is ready, or output and the
//     kernel accepts bytes, the socket is armed, a kick is queued, or a goroutine
//     runs. Deferred output is in the list of a poller whose leader handles a
//     batch, or is about to write it.
//   - A connection at its end has a deadline. So has one with buffered output
//     that is not deferred, unless Config.WriteTimeout is none.
//   - Output is deferred in stateOpen only.
//   - Only the owner of a socket closes its descriptor, once. In the goroutine
//     loop, that holds while handlers run inside RawConn.Read.
//   - Config.Counters.Buffered is the sum of all write buffers.
//   - No memory is sized by a value that a peer declares, except for a record
//     by crypto/tls.
//   - While a connection with TLS is ready, TLS has no input that it can
//     decrypt: all is handled, or another call of Received is requested.
//
// TestEveryReachableState checks them for the polled loop, in every state that a
// socket can reach, over models of epoll and kqueue.
//
// # Lock order
//
// See package lockorder. A socket's lock is held during system calls that do
// not block, and during the methods of Conn that say so. It is not held while
// handlers run. A secureConn's lock for writing, and then those of TLS, are
// locked before the socket's. The locks of a handshake's input, of a poller's
// kick queue and of its deferrals, that of a loop and that of its batches, are
// locked last.
package netloop
