package handshake_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// crlf converts a head to the format of an example's output.
func crlf(b []byte) string {
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n"))
}

func ExampleParseURL() {
	u, err := handshake.ParseURL("wss://user:secret@Server.example.com:8443/chat?room=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("dial", u.Address(), "with TLS:", u.Secure)
	fmt.Println("Host:", u.HostHeader())
	fmt.Println("Authorization:", u.Authorization())
	fmt.Println("GET", u.Target)
	// Output:
	// dial server.example.com:8443 with TLS: true
	// Host: server.example.com:8443
	// Authorization: Basic dXNlcjpzZWNyZXQ=
	// GET /chat?room=1
}

func ExampleAcceptKey() {
	fmt.Println(handshake.AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="))
	// Output: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
}

func ExampleAppendRequest() {
	offer := &handshake.ClientOffer{
		Host:         "server.example.com",
		Target:       "/chat",
		Key:          "dGhlIHNhbXBsZSBub25jZQ==", // in a program: handshake.NewKey()
		Subprotocols: []string{"chat", "superchat"},
		Header:       map[string][]string{"Origin": {"http://example.com"}},
	}
	b, err := handshake.AppendRequest(nil, offer)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(crlf(b))
	// Output:
	// GET /chat HTTP/1.1
	// Host: server.example.com
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
	// Sec-WebSocket-Version: 13
	// Sec-WebSocket-Protocol: chat, superchat
	// Origin: http://example.com
}

// The request arrives in two pieces. The bytes after its head are the client's
// first frame.
func ExampleRequestParser() {
	var parser handshake.RequestParser
	for _, piece := range []string{
		"GET /chat HTTP/1.1\r\nHost: server.exam",
		"ple.com\r\n\r\n\x81\x85....",
	} {
		b := []byte(piece)
		request, n, err := parser.Parse(b)
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case request == nil:
			fmt.Println("incomplete")
			continue
		}
		fmt.Println(request.Method, request.Target, request.Host())
		fmt.Println("bytes of frames:", len(b)-n)
	}
	// Output:
	// incomplete
	// GET /chat server.example.com
	// bytes of frames: 6
}

// parseRequestString parses a complete request, for the examples.
func parseRequestString(s string) *handshake.Request {
	request, _, err := new(handshake.RequestParser).Parse([]byte(s))
	if err != nil {
		panic(err)
	}
	return request
}

const sampleRequest = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n" +
	"Upgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: v2.chat, chat\r\n\r\n"

func ExampleValidateRequest() {
	offer, err := handshake.ValidateRequest(parseRequestString(sampleRequest))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(offer.Host, offer.Target, offer.Subprotocols)

	_, err = handshake.ValidateRequest(parseRequestString("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\r\n"))
	fmt.Println(err)
	// Output:
	// server.example.com /chat [v2.chat chat]
	// websocket: handshake refused with 426 Upgrade Required: no Upgrade field, want websocket; a proxy may have removed the field
}

// A server that supports the subprotocol "chat" accepts a handshake.
func ExampleAppendResponse() {
	offer, err := handshake.ValidateRequest(parseRequestString(sampleRequest))
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := handshake.AppendResponse(nil, &handshake.ServerAnswer{
		Key:         offer.Key,
		Subprotocol: handshake.SelectSubprotocol(offer.Subprotocols, []string{"chat"}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(crlf(response))
	// Output:
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Sec-WebSocket-Protocol: chat
}

func ExampleSelectSubprotocol() {
	offered := []string{"v2.chat", "chat"} // in the client's order of preference
	fmt.Printf("%q\n", handshake.SelectSubprotocol(offered, []string{"chat", "v2.chat"}))
	fmt.Printf("%q\n", handshake.SelectSubprotocol(offered, []string{"other"}))
	// Output:
	// "v2.chat"
	// ""
}

func ExampleValidateResponse() {
	offer := &handshake.ClientOffer{Host: "server.example.com", Target: "/", Key: "dGhlIHNhbXBsZSBub25jZQ==", Subprotocols: []string{"chat"}}
	var parser handshake.ResponseParser
	response, _, err := parser.Parse([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	negotiated, err := handshake.ValidateResponse(response, offer)
	fmt.Println(negotiated.Subprotocol, err)

	offer.Key = handshake.NewKey() // the response answers another request
	_, err = handshake.ValidateResponse(response, offer)
	fmt.Println(err)
	// Output:
	// chat <nil>
	// websocket: handshake response: Sec-WebSocket-Accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" does not match the key of the request
}

func ExampleAppendRefusal() {
	_, err := handshake.ValidateRequest(parseRequestString("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\r\n"))
	var refused *handshake.Error
	if errors.As(err, &refused) {
		fmt.Println(crlf(handshake.AppendRefusal(nil, refused)))
	}
	// Output:
	// HTTP/1.1 426 Upgrade Required
	// Connection: close, Upgrade
	// Content-Type: text/plain; charset=utf-8
	// X-Content-Type-Options: nosniff
	// Content-Length: 47
	// Sec-WebSocket-Version: 13
	// Upgrade: websocket
	//
	// Upgrade Required: this is a WebSocket endpoint
}

// A server answers health checks on its port for WebSocket.
func ExampleAppendHTTPAnswer() {
	request := parseRequestString("GET /healthz HTTP/1.1\r\nHost: server.example.com\r\n\r\n")
	if request.WantsWebSocket() || request.Path() != "/healthz" {
		return
	}
	response, err := handshake.AppendHTTPAnswer(nil, request, &handshake.HTTPAnswer{Body: []byte("ok\n")})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(crlf(response))
	// Output:
	// HTTP/1.1 200 OK
	// Connection: close
	// Content-Type: text/plain; charset=utf-8
	// X-Content-Type-Options: nosniff
	// Content-Length: 3
	//
	// ok
}

func ExampleCheckOrigin() {
	request := &handshake.Request{Target: "/", Header: handshake.Header{
		{Name: "Host", Value: "api.example.com"},
		{Name: "Origin", Value: "https://www.example.com"},
	}}
	fmt.Println(handshake.CheckOrigin(request, nil))
	fmt.Println(handshake.CheckOrigin(request, []string{"https://*.example.com"}))
	// Output:
	// websocket: handshake refused with 403 Forbidden: Origin "https://www.example.com" is not the origin of host "api.example.com"
	// <nil>
}

// A server on a loopback address accepts only the names of this machine,
// against DNS rebinding.
func ExampleCheckHost() {
	patterns := []string{"localhost", "127.0.0.1", "[::1]"}
	for _, host := range []string{"localhost:8080", "attacker.example:8080"} {
		request := &handshake.Request{Target: "/", Header: handshake.Header{{Name: "Host", Value: host}}}
		fmt.Println(handshake.CheckHost(request, patterns))
	}
	// Output:
	// <nil>
	// websocket: handshake refused with 421 Misdirected Request: Host "attacker.example:8080" matches none of 3 allowed patterns
}

func ExampleValidateOrigins() {
	fmt.Println(handshake.ValidateOrigins([]string{"https://*.example.com"}))
	fmt.Println(handshake.ValidateOrigins([]string{"https://example.com/"}))
	// Output:
	// <nil>
	// websocket: origin pattern "https://example.com/": an origin has no path; write "https://example.com"
}

func ExampleParseExtensions() {
	list, err := handshake.ParseExtensions(nil, `permessage-deflate; server_max_window_bits="10"; client_no_context_takeover, x-other`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range list {
		fmt.Println(e.Name)
		for _, p := range e.Params {
			fmt.Printf("  %s %q\n", p.Name, p.Value)
		}
	}
	// Output:
	// permessage-deflate
	//   server_max_window_bits "10"
	//   client_no_context_takeover ""
	// x-other
}
