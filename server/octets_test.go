package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/server"
)

// The opening handshake is not decoded as UTF-8. Fields whose value is more
// than octets must be ASCII, and are refused otherwise, for valid and invalid
// UTF-8 (6455-8.1-g).
func TestOpeningHandshakeThatMustBeASCII(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Subprotocols: []string{"ü", "\xff"}})
		for _, notASCII := range []string{"ü", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82"} {
			for name, tt := range map[string]struct {
				request string
				status  int
			}{
				"method":      {strings.Replace(request("/"), "GET", "G"+notASCII, 1), 400},
				"target":      {request("/" + notASCII), 400},
				"field name":  {request("/", "X-"+notASCII+": x"), 400},
				"Host":        {strings.Replace(request("/"), "server.example", notASCII, 1), 400},
				"Upgrade":     {strings.Replace(request("/"), "websocket", "websocket"+notASCII, 1), 426},
				"Connection":  {strings.Replace(request("/"), ": Upgrade", ": Upgrade"+notASCII, 1), 400},
				"key":         {strings.Replace(request("/"), sampleKey, notASCII+sampleKey[len(notASCII):], 1), 400},
				"version":     {strings.Replace(request("/"), "13", "13"+notASCII, 1), 426},
				"subprotocol": {request("/", "Sec-WebSocket-Protocol: "+notASCII), 400},
				"extension":   {request("/", "Sec-WebSocket-Extensions: "+notASCII), 400},
				"parameter":   {request("/", `Sec-WebSocket-Extensions: a; b="`+notASCII+`"`), 400},
				"Origin":      {request("/", "Origin: http://"+notASCII), 403},
			} {
				t.Run(fmt.Sprintf("%s %q", name, notASCII), func(t *testing.T) {
					p := s.dial(t)
					p.send(tt.request)
					checkRefused(t, p, tt.status)
				})
			}
			t.Run(fmt.Sprintf("any other field is octets %q", notASCII), func(t *testing.T) {
				rec := newRecorder(t)
				s := start(t, &server.Server{Handler: rec.handler()})
				s.openAs(t, "/%ff", "X: "+notASCII)
				if c := rec.conn(); c.Header().Get("X") != notASCII || c.Path() != "/%ff" {
					t.Errorf("the field became %q, the path %q", c.Header().Get("X"), c.Path())
				}
			})
		}
	})
}

// The fields that proxies write into requests, and any client can write, do not
// change the client's address or the server's own origin (6455-10.1-a).
func TestForwardingFieldsAreNotBelieved(t *testing.T) {
	forwarded := []string{
		"Forwarded: for=192.0.2.1;host=evil.example;proto=https", "X-Forwarded-For: 192.0.2.1",
		"X-Forwarded-Host: evil.example", "X-Real-IP: 192.0.2.1", "X-Forwarded-Proto: https",
		"Sec-Fetch-Site: same-origin", // WHATWG-17
	}
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		s := start(t, &server.Server{Handler: rec.handler()})
		p := s.openAs(t, "/", append(forwarded, "Origin: http://server.example")...)
		if c := rec.conn(); c.RemoteAddr().String() != p.nc.LocalAddr().String() || c.Request().Host() != "server.example" {
			t.Errorf("the client is %v and asks for %s", c.RemoteAddr(), c.Request().Host())
		}
		p = s.dial(t)
		p.send(request("/", append(forwarded, "Origin: https://evil.example")...))
		checkRefused(t, p, 403)
	})
}
