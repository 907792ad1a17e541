// Package conform judges implementations of WebSocket by the cases of the
// Autobahn TestSuite: the same 517 ids, inputs, delays and verdicts, written
// anew. It works with any implementation in any language, because it speaks to
// it over a connection only.
//
// In go test, [TestServer] judges a server at a URL, and [TestClient] judges a
// client, which is a function. Both peers send every message back.
//
//	func TestConformance(t *testing.T) {
//		conform.TestServer(t, "ws://localhost:8080/echo", conform.Options{})
//	}
//
// A case that the peer does not pass is an error of the test, with the id, the
// verdicts and their reasons. Options.Only and Options.Except select cases:
//
//	1, 2, 3, 4     messages of all sizes; Ping and Pong; reserved bits and opcodes
//	5, 6, 7        fragmentation; UTF-8; the closing handshake
//	9, 10          large messages, many messages; messages that a peer may fragment
//	12, 13         permessage-deflate: data sets, parameters
//
// All cases take a few seconds against a local peer, and some minutes with
// permessage-deflate. Options.Rounds makes the cases of many messages shorter.
//
// [JudgeServer], [FuzzingServer] and [Driver] are the parts that a program is
// built from: results with a wire log, a server for clients in other languages,
// and the driver of a client.
//
// The judge shares no code with an implementation. It has its own frame writer,
// which also writes illegal frames, and its own checks of received frames.
package conform
