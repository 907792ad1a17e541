// Package wstest helps to test WebSocket programs: it has connections in
// memory, connections with faults, and peers that follow a script. It works
// with any code that uses a net.Conn or a net.Listener. Package wstest/conform
// judges an implementation by the cases of the Autobahn TestSuite.
//
// # Connections
//
// [Pipe] returns the two ends of a connection in memory, with a buffer,
// deadlines and a half-close like TCP. [Listen] returns a listener for such
// connections, to which clients connect by [Listener.DialContext]. [Serve] also
// starts a server, and shuts it down when the test ends.
//
//	ln := wstest.Serve(t, s) // s is a *server.Server, or an *http.Server
//	c, err := client.Dial(ctx, "ws://any.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
//
// In a bubble of testing/synctest they use the time of the bubble, so a test of
// a timeout of an hour takes no time.
//
// # Faults
//
// A [Plan] has the faults of a connection: latency, writes that arrive in
// pieces, a small buffer, and a reset, an end or a stall after a number of
// bytes. With different plans connections overtake each other.
//
//	wstest.Plan{ToServer: wstest.Faults{Cut: wstest.ResetAt(200), Split: wstest.Sizes(1)}}
//
// A [Link], with its two values of [Flow], stalls, releases and resets a
// connection during its use. A [Relay] applies the same faults to TCP
// connections: it forwards the bytes between the client and the server.
//
// # Scripts
//
// A [Peer], from [NewClient] or [NewServer], follows a script, and reports the
// line that the endpoint under test did not follow:
//
//	err := wstest.NewClient(nc).Play(`
//		open /chat                     # the opening handshake
//		send text "Hello"
//		expect text "Hello"
//		send close 1000 "bye"
//		expect close 1000
//		expect end
//	`)
//
// A line has one of these forms. [ ] encloses optional parts, a # begins a
// comment:
//
//	open [TARGET] ["Field: value" …]       request and response 101
//	request [TARGET] ["Field: value" …]    a client sends it, a server expects it
//	response STATUS ["Field: value" …]     a server sends it, a client expects it
//	send FRAME                             a frame, masked if the peer is a client
//	send BYTES                             unchanged
//	expect FRAME                           the next frame
//	expect BYTES                           whole frames, unmasked; a client's with the masking key 00000000
//	expect end                             the end of the connection, without input before
//	expect reset                           a reset of the connection
//	expect silence TIME                    no input for this time
//	wait TIME                              the peer neither reads nor writes
//	end                                    a half-close
//	hangup                                 close the connection
//	reset                                  reset it
//
// A field that is sent replaces the field of the handshake with this name. A
// field that is expected must have this value. A FRAME is one of
//
//	text [more] BYTES                      more: not the last frame of its message
//	binary [more] BYTES
//	continuation [more] BYTES
//	ping BYTES
//	pong BYTES
//	close [CODE ["reason"]]                expect without a reason accepts any
//
// BYTES are hexadecimal pieces and Go strings, each of which may be repeated:
// 81 05 "Hello" 00*70000 "é\n". A TIME has Go's form: 1.5s.
//
// [Peer.PlayCorpus] plays the scripts of package fuzz/corpus, which show the
// rules of RFC 6455 one by one.
package wstest
