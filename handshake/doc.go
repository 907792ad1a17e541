// Package handshake parses, validates and writes the messages of WebSocket's
// opening handshake: the URI grammar of RFC 6455, Section 3, the requests and
// responses of Section 4, and the extension grammar of Section 9.1.
//
// The package works on byte slices. It opens no socket, reads no clock and
// starts no goroutine. It imports neither net nor net/http; header maps have
// the type map[string][]string, to which an http.Header is assignable.
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
// # Client
//
// [ParseURL] returns the Host field, the address to dial and the request
// target. [AppendRequest] writes the request of a [ClientOffer].
// [ResponseParser] reads the response as it arrives. [ValidateResponse] checks
// it against the offer and returns the [Negotiated] subprotocol and extensions.
//
// # Server
//
// [RequestParser] reads the request as it arrives. [ValidateRequest] applies
// Section 4.2.1 and returns the [ClientOffer]. [CheckOrigin] and [CheckHost]
// reject other origins and hosts. [SelectSubprotocol] chooses a subprotocol.
// [AppendResponse] writes the 101 response of a [ServerAnswer]. A rejected
// handshake is an [*Error] with an HTTP status; [AppendRefusal] writes its
// response.
//
// # Strictness
//
// A lenient HTTP parser enables request smuggling. The parsers therefore accept
// only CRLF as a line end, and reject folded lines, white space before a colon
// and control characters. They read each byte once, buffer at most [Limits] of
// an incomplete head, and consume no byte after the blank line, where frames
// start.
//
// The append functions validate all values before they append the first byte.
// On an error they return dst unchanged.
//
// The package parses extensions and compares their names. It defines no
// extension and does not interpret parameters.
//
// # Security
//
// The Origin field names the page that a browser runs. It does not authenticate
// a client, because other clients can send any Origin. With DNS rebinding an
// attacker's host name resolves to a loopback address, and the Origin equals
// the Host. A server on a loopback address should call [CheckHost] too.
//
// SHA-1 in Sec-WebSocket-Accept proves only that the server speaks WebSocket;
// its weakness as a hash does not matter there (RFC 6455, Section 10.8).
//
// # Concurrency
//
// Functions may be called from any goroutine. A parser must not be used by two
// goroutines at the same time.
package handshake
