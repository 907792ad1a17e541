// Package wstest has what tests of WebSocket programs need: connections in
// memory, connections with faults, and peers that follow a script. It works with
// any code that takes a net.Conn or a net.Listener, that of this module or not.
//
// # Connections
//
// [Pipe] returns the two ends of a connection in memory, with a buffer, deadlines
// and a half-close, as TCP has them. [Listen] returns a listener of such
// connections: a server serves it, and a client reaches it by
// [Listener.DialContext].
//
//	ln := wstest.Listen(nil)
//	go s.Serve(ln) // s is a *server.Server, or an *http.Server
//	c, err := client.Dial(ctx, "ws://any.example/", &client.Config{DialContext: ln.DialContext})
//
// In a bubble of testing/synctest their time is that of the bubble: a timeout of
// an hour is tested in no time.
//
// # Faults
//
// A [Plan] says what happens to a connection: latency, writes that arrive in
// pieces, a small buffer, and a reset, an end or a stall behind a number of
// bytes. With a plan for each connection, connections overtake each other.
//
//	wstest.Plan{ToServer: wstest.Faults{Cut: wstest.ResetAt(200), Split: wstest.Sizes(1)}}
//
// [Link], with its two [Flow], is the connection seen from outside: it stalls,
// releases and resets a connection while it is used. A [Relay] does the same for
// code that insists on TCP: it stands between the client and the server.
//
// # Scripts
//
// A [Peer], by [NewClient] or [NewServer], plays one end of a conversation from a
// script, and says which line was not followed:
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
// Each line is one of these; [ ] is what may be left out, and a # begins a comment:
//
//	open [TARGET] ["Field: value" …]       request and response 101
//	request [TARGET] ["Field: value" …]    a client sends it, a server expects it
//	response STATUS ["Field: value" …]     a server sends it, a client expects it
//	send FRAME                             a frame, masked if the peer is a client
//	send BYTES                             as they are
//	expect FRAME                           the next frame
//	expect BYTES                           whole frames, unmasked; a client's with the masking key 00000000
//	expect end                             the connection ends, and nothing comes before
//	expect reset                           it breaks
//	expect silence TIME                    nothing comes for so long
//	wait TIME                              the peer does nothing, nor does it read
//	end                                    nothing more will be sent: a half-close
//	hangup                                 close the connection
//	reset                                  cut it in the rudest way
//
// A header field that is sent takes the place of the one that the handshake would
// have; one that is expected must be there with this value. A FRAME is one of
//
//	text [more] BYTES                      more: not the last frame of its message
//	binary [more] BYTES
//	continuation [more] BYTES
//	ping BYTES
//	pong BYTES
//	close [CODE ["reason"]]                expected without a reason, any will do
//
// BYTES are any number of hexadecimal pieces and Go strings, each of which may be
// repeated: 81 05 "Hello" 00*70000 "é\n". A TIME is as Go writes it: 1.5s.
//
// [Peer.PlayCorpus] plays the conversations of package fuzz/corpus, which show
// the rules of RFC 6455 one by one.
package wstest
