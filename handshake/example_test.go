package handshake_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// crlf makes a head fit for the output of an example.
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
		Key:          "dGhlIHNhbXBsZSBub25jZQ==", // in earnest: handshake.NewKey()
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

// A server reads a request as it arrives, in two pieces here, and answers it. What
// follows the request is the client's first frame.
func ExampleRequestParser() {
	arrivals := []string{
		"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConn",
		"ection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Protocol: v2.chat, chat\r\n\r\n\x81\x85....",
	}
	var parser handshake.RequestParser
	for _, arrival := range arrivals {
		b := []byte(arrival)
		request, n, err := parser.Parse(b)
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case request == nil:
			fmt.Println("more to come")
			continue
		}
		upgrade, err := handshake.ValidateRequest(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		acceptance := &handshake.ServerAnswer{
			Key:         upgrade.Key,
			Subprotocol: handshake.SelectSubprotocol(upgrade.Subprotocols, []string{"chat"}),
		}
		response, err := handshake.AppendResponse(nil, acceptance)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(crlf(response))
		fmt.Println("bytes of frames:", len(b)-n)
	}
	// Output:
	// more to come
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Sec-WebSocket-Protocol: chat
	// bytes of frames: 6
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
	agreement, err := handshake.ValidateResponse(response, offer)
	fmt.Println(agreement.Subprotocol, err)

	offer.Key = handshake.NewKey() // so this is an answer to somebody else
	_, err = handshake.ValidateResponse(response, offer)
	fmt.Println(err)
	// Output:
	// chat <nil>
	// websocket: handshake response: Sec-WebSocket-Accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" does not answer the key that was sent
}

func ExampleAppendRefusal() {
	var parser handshake.RequestParser
	request, _, err := parser.Parse([]byte("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\r\n"))
	if err == nil {
		_, err = handshake.ValidateRequest(request)
	}
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

func ExampleCheckOrigin() {
	request := &handshake.Request{Target: "/", Header: handshake.Header{
		{Name: "Host", Value: "api.example.com"},
		{Name: "Origin", Value: "https://www.example.com"},
	}}
	fmt.Println(handshake.CheckOrigin(request, nil))
	fmt.Println(handshake.CheckOrigin(request, []string{"https://*.example.com"}))
	// Output:
	// websocket: handshake refused with 403 Forbidden: Origin "https://www.example.com" is not that of the host "api.example.com" and matches none of 0 allowed patterns
	// <nil>
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
