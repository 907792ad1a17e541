// Package handshake is the opening handshake of WebSocket over bytes:
// the URI grammar of RFC 6455, Section 3, the requests and responses of
// Section 4, and the extension grammar of Section 9.1. It opens no socket, reads
// no clock and starts no goroutine, and it depends on neither net/http nor net.
//
// # The client's half
//
// [ParseURL] splits the URI and gives the Host field, the address to dial and the
// request target. A [ClientOffer] holds what the client asks for; [AppendRequest]
// turns it into bytes. [ResponseParser] reads the answer as it arrives and
// [ValidateResponse] decides whether it opens the connection, and with which
// [Negotiated].
//
//	client                                        server
//	  ParseURL, NewKey
//	  AppendRequest     GET /chat HTTP/1.1
//	                    Host: server.example.com
//	                    Upgrade: websocket
//	                    Connection: Upgrade
//	                    Sec-WebSocket-Key: …
//	                    Sec-WebSocket-Version: 13
//	                                      ------>  RequestParser
//	                                               ValidateRequest
//	                                               CheckOrigin
//	                                               SelectSubprotocol
//	                    HTTP/1.1 101 …             AppendResponse
//	                    Upgrade: websocket
//	                    Connection: Upgrade
//	                    Sec-WebSocket-Accept: …
//	  ResponseParser    <------
//	  ValidateResponse
//
// # The server's half
//
// [RequestParser] reads the request, [ValidateRequest] holds it against Section
// 4.2.1, [CheckOrigin] refuses pages of other origins, [SelectSubprotocol]
// chooses, and [AppendResponse] writes the 101. Every refusal is an [*Error] that
// knows its HTTP status; [AppendRefusal] writes it.
//
// # What is strict
//
// The parsers take CRLF line ends and nothing else, no folded lines, no white
// space before a colon and no control characters, because a lenient reading is
// what request smuggling lives on. They read every byte once however the head is
// cut up, hold at most [Limits] of it, and never consume a byte beyond the blank
// line: what follows are frames.
//
// No value of the caller reaches the wire unchecked. The append functions look
// at everything before they append the first byte, so that an error means that
// nothing was written.
//
// Extensions are parsed and compared by name, but none is known here: what
// permessage-deflate's parameters mean is for that extension to say.
//
// # Security
//
// An Origin tells what page a browser runs. It authenticates nobody, since other
// clients send what they like. A page on an attacker's name that resolves to
// a loopback address has an Origin equal to its Host; services that listen on
// loopback should compare the Host with the names they know.
//
// SHA-1 in Sec-WebSocket-Accept proves only that the server speaks WebSocket; its
// weakness as a hash is of no consequence there (RFC 6455, Section 10.8).
//
// All functions may be called from several goroutines at once. A parser is for
// one goroutine at a time.
package handshake
