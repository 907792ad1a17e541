package server_test

import (
	"testing"

	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
)

// offers are the extension offers of browsers (WHATWG-3, WHATWG-18), and valid
// and invalid parameters of permessage-deflate.
var offers = []string{
	"permessage-deflate; client_max_window_bits",
	"permessage-deflate",
	"x-webkit-deflate-frame",
	"PerMessage-Deflate",
	"foo; a=1, permessage-deflate",
	"permessage-deflate; server_max_window_bits=10, permessage-deflate",
	"permessage-deflate; server_max_window_bits=15",
	"permessage-deflate; server_max_window_bits",
	"permessage-deflate; server_max_window_bits=7",
	"permessage-deflate; server_max_window_bits=16",
	"permessage-deflate; server_max_window_bits=010",
	`permessage-deflate; server_max_window_bits="10"`,
	"permessage-deflate; client_max_window_bits=abc",
	"permessage-deflate; server_no_context_takeover=true",
	"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
	"permessage-deflate; foo",
	"foo, bar; baz=1",
}

// An offer is no agreement. The server has no extension, and its answer names
// none, for any offer (6455-9-a, 6455-9.1-e, 6455-4.2.2-h). No frame after the
// opening handshake can negotiate one (6455-5.8-a). A client that sends RSV1
// violates the protocol (6455-9.1-c, 6455-5.2-b).
func TestNoExtensionIsInEffectThatTheServerDidNotAnswer(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
		for _, offer := range offers {
			t.Run(offer, func(t *testing.T) {
				p := s.ask(t, request("/", "Sec-WebSocket-Extensions: "+offer))
				if r := p.response(); r.Status != 101 || r.Header.Count("Sec-WebSocket-Extensions") != 0 {
					t.Fatalf("answered with %+v", r)
				}
				p.echo("plain")
				p.send("\xc1\x87\x00\x00\x00\x00\xf2\x48\xcd\xc9\xc9\x07\x00") // RFC 7692, Section 7.2.3.1
				p.want(`close 1002 "reserved bit set without an extension"`)
				p.wantEnd()
			})
		}
	})
}

// With Server.Compression each request is answered with 101: to a valid offer
// the server's answer says so, and compressed messages arrive; invalid offers
// are declined (7692-5-b, 7692-7-a, -b, -c).
func TestOffersOfCompression(t *testing.T) {
	accepted := map[string]string{
		"permessage-deflate; client_max_window_bits":                        "permessage-deflate; client_max_window_bits=12",
		"permessage-deflate":                                                "permessage-deflate; client_no_context_takeover",
		"PerMessage-Deflate":                                                "permessage-deflate; client_no_context_takeover",
		"foo; a=1, permessage-deflate":                                      "permessage-deflate; client_no_context_takeover",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate": "permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
		"permessage-deflate; server_max_window_bits=15":                     "permessage-deflate; server_max_window_bits=12; client_no_context_takeover",
		`permessage-deflate; server_max_window_bits="10"`:                   "permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
	}
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}, Compression: new(permessage.Deflate)})
		for _, offer := range offers {
			t.Run(offer, func(t *testing.T) {
				p := s.dial(t)
				p.send(request("/", "Sec-WebSocket-Extensions: "+offer))
				if r := p.response(); r.Status != 101 || r.Header.Get("Sec-WebSocket-Extensions") != accepted[offer] {
					t.Fatalf("answered with %+v", r)
				}
				p.send("\xc1\x87\x00\x00\x00\x00\xf2\x48\xcd\xc9\xc9\x07\x00") // RFC 7692, Section 7.2.3.1
				if accepted[offer] == "" {
					p.want(`close 1002 "reserved bit set without an extension"`)
					p.wantEnd()
					return
				}
				p.want(`text "Hello"`)
			})
		}
	})
}
