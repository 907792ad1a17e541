package hostile

import (
	"slices"
	"strings"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// asking returns the header fields of a valid request.
func asking() []string {
	return []string{
		"Host: victim.example",
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: aG9zdGlsZSwgMTYgYi4uLg==",
		"Sec-WebSocket-Version: 13",
	}
}

// request returns a request with these fields.
func request(target string, fields ...string) string { return head("GET "+target+" HTTP/1.1", fields) }

// accepting returns the header fields of a valid response.
func accepting(key string) []string {
	return []string{
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Accept: " + handshake.AcceptKey(key),
	}
}

// response returns a response with these fields.
func response(fields ...string) string { return head("HTTP/1.1 101 Switching Protocols", fields) }

func head(start string, fields []string) string {
	return start + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// requests returns ambiguous and endless requests.
func requests() []Attack {
	sending := func(name string, bytes func(target string) string) Attack {
		return Attack{Profile: 12, Name: name, Against: Server, Want: refused(), play: func(p *peer) {
			p.send(bytes(p.Target))
			p.drain()
		}}
	}
	attacks := []Attack{
		sending("a body", func(target string) string {
			return request(target, append(asking(), "Content-Length: 6")...) + "\x89\x80\x01\x02\x03\x04"
		}),
		sending("a body in chunks", func(target string) string {
			return request(target, append(asking(), "Transfer-Encoding: chunked")...) + "6\r\n\x89\x80\x01\x02\x03\x04\r\n0\r\n\r\n"
		}),
		{Profile: 12, Name: "two requests in one segment", Against: Server, Want: failed(wire.ProtocolError), play: func(p *peer) {
			once := request(p.Target, asking()...)
			p.send(once + once)
			p.drain()
		}},
		{Profile: 12, Name: "fields without end", Against: Server, Want: refused("431"), play: func(p *peer) {
			p.listen()
			p.send("GET " + p.Target + " HTTP/1.1\r\n")
			p.flood("X: x\r\n")
		}},
		{Profile: 12, Name: "a field without end", Against: Server, Want: refused("431"), play: func(p *peer) {
			p.listen()
			p.send("GET " + p.Target + " HTTP/1.1\r\nX: ")
			p.flood("x")
		}},
		{Profile: 12, Name: "a target without end", Against: Server, Want: refused("414"), play: func(p *peer) {
			p.listen()
			p.send("GET /")
			p.flood("x")
		}},
	}
	for i, field := range asking() {
		name, _, _ := strings.Cut(field, ":")
		attacks = append(attacks, sending("without "+name, func(target string) string {
			return request(target, slices.Delete(asking(), i, i+1)...)
		}))
		if name != "Upgrade" && name != "Connection" { // lists may be split
			attacks = append(attacks, sending("with two "+name, func(target string) string {
				return request(target, append(asking(), field)...)
			}))
		}
	}
	return attacks
}

// answering answers a request with the result of bytes for its key.
func answering(profile int, name string, want Outcome, bytes func(key string) string) Attack {
	return Attack{Profile: profile, Name: name, Against: Client, Want: want, play: func(p *peer) {
		if key, ok := p.key(); ok {
			p.send(bytes(key))
		}
		p.drain()
	}}
}

// responses returns responses with a missing or doubled field.
func responses() []Attack {
	var attacks []Attack
	for i, field := range accepting("") {
		name, _, _ := strings.Cut(field, ":")
		attacks = append(attacks, answering(12, "without "+name, refused(name), func(key string) string {
			return response(slices.Delete(accepting(key), i, i+1)...)
		}))
	}
	twice := answering(12, "with two Sec-WebSocket-Accept", refused("Sec-WebSocket-Accept"), func(key string) string {
		fields := accepting(key)
		return response(append(fields, fields[2])...)
	})
	return append(attacks, twice)
}

// extras are responses with unsolicited fields, bodies and redirects.
var extras = []Attack{
	extra("an extension", refused("Sec-WebSocket-Extensions"), "Sec-WebSocket-Extensions: x-unknown"),
	extra("a subprotocol", refused("Sec-WebSocket-Protocol"), "Sec-WebSocket-Protocol: chat"),
	body("a body", "Content-Length: 2", "OK"),
	body("a body in chunks", "Transfer-Encoding: chunked", "2\r\nOK\r\n0\r\n\r\n"),
	answering(13, "a wrong Sec-WebSocket-Accept", refused("Sec-WebSocket-Accept"), func(string) string {
		return response(accepting("another")...)
	}),
	redirect("301 Moved Permanently"),
	redirect("302 Found"),
	redirect("307 Temporary Redirect"),
	redirect("308 Permanent Redirect"),
	answering(13, "another 200", refused("200"), func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK" }),
	endless("interim responses", refused("interim", "1xx"), "", "HTTP/1.1 103 Early Hints\r\n\r\n"),
	endless("fields", refused("field", "head"), "HTTP/1.1 101 Switching Protocols\r\n", "X: x\r\n"),
	endless("a field", refused("field", "head"), "HTTP/1.1 101 Switching Protocols\r\nX: ", "x"),
	endless("the body of a refusal", refused("403"), "HTTP/1.1 403 Forbidden\r\n\r\n", "no "),
	endless("the body of a refusal, in chunks", refused("403"), "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nno \r\n"),
	{Profile: 13, Name: "the missing body of a refusal", Against: Client, Want: refused("403"), play: func(p *peer) {
		p.key()
		p.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n")
		p.drain()
	}},
}

// extra is a valid response with an additional field.
func extra(name string, want Outcome, field string) Attack {
	return answering(13, name, want, func(key string) string { return response(append(accepting(key), field)...) })
}

// body is a 101 with a body, which the client must read as frames (RFC 9112,
// Section 6.3).
func body(name, field, content string) Attack {
	return answering(13, name, failed(wire.ProtocolError), func(key string) string {
		return response(append(accepting(key), field)...) + content
	})
}

// redirect is a redirect to another host.
func redirect(status string) Attack {
	return answering(13, status, refused(status[:3]), func(string) string {
		return "HTTP/1.1 " + status + "\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
	})
}

// endless is a response that never ends.
func endless(name string, want Outcome, begin, more string) Attack {
	return Attack{Profile: 13, Name: name + " without end", Against: Client, Want: want, play: func(p *peer) {
		p.key()
		p.listen()
		p.send(begin)
		p.flood(more)
	}}
}
