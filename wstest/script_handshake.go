package wstest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/handshake"
)

// sampleKey is the Sec-WebSocket-Key of clients, from the example in RFC 6455,
// Section 1.3.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// parseHandshake parses a line about the opening handshake. A client sends a
// request and expects a response; a server expects a request and sends a
// response.
func parseHandshake(word string, args corpus.Args, r corpus.Role) (func(p *Peer) error, error) {
	if word == "response" {
		code, args, err := status(args)
		if err != nil {
			return nil, err
		}
		lines, err := fields(args)
		if r == corpus.Client {
			return func(p *Peer) error { return p.expectResponse(code, lines) }, err
		}
		return func(p *Peer) error { return p.sendResponse(code, lines) }, err
	}
	target, args := args.Word()
	lines, err := fields(args)
	if err != nil {
		return nil, err
	}
	begin, finish := sendRequest, (*Peer).expectResponse
	if r == corpus.Server {
		begin, finish = (*Peer).expectRequest, (*Peer).sendResponse
	}
	if word == "request" {
		return func(p *Peer) error { return begin(p, target, lines) }, nil
	}
	return func(p *Peer) error {
		if err := begin(p, target, lines); err != nil {
			return err
		}
		return finish(p, 101, nil)
	}, nil
}

// fields parses header fields: strings of the form "Name: value".
func fields(args corpus.Args) (handshake.Header, error) {
	var header handshake.Header
	for i := range args {
		line, err := args[i : i+1].Text()
		if err != nil {
			return nil, fmt.Errorf("%q is not a string with a header field", args[i].Text)
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(line, "\r\n") {
			return nil, fmt.Errorf("%q is not of the form Name: value", line)
		}
		header = append(header, handshake.Field{Name: name, Value: strings.TrimSpace(value)})
	}
	return header, nil
}

// appendFields appends the fields of own that are not in header, those of
// header, and the empty line after a head.
func appendFields(b []byte, own, header handshake.Header) []byte {
	for _, f := range own {
		if header.Count(f.Name) == 0 {
			b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
		}
	}
	for _, f := range header {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	return append(b, "\r\n"...)
}

// has returns an error if a field of want is not in got.
func has(got, want handshake.Header) error {
	for _, f := range want {
		if values := got.Values(f.Name); !slices.Contains(values, f.Value) {
			return fmt.Errorf("got %s: %.100q", f.Name, values)
		}
	}
	return nil
}

// sendRequest sends the request of a client.
func sendRequest(p *Peer, target string, header handshake.Header) error {
	if target == "" {
		target = "/"
	}
	p.key = sampleKey
	if key := header.Get("Sec-WebSocket-Key"); key != "" {
		p.key = key
	}
	return p.send(appendFields([]byte("GET "+target+" HTTP/1.1\r\n"), handshake.Header{
		{Name: "Host", Value: "server.example"},
		{Name: "Upgrade", Value: "websocket"},
		{Name: "Connection", Value: "Upgrade"},
		{Name: "Sec-WebSocket-Key", Value: sampleKey},
		{Name: "Sec-WebSocket-Version", Value: "13"},
	}, header))
}

// expectResponse reads the response of the server under test.
func (p *Peer) expectResponse(status int, header handshake.Header) error {
	var parser handshake.ResponseParser
	r, err := readHead(p, parser.Parse)
	if err != nil {
		return err
	}
	p.refused = r.Status != 101
	switch {
	case r.Status != status:
		return fmt.Errorf("got the status %d", r.Status)
	case r.Status != 101:
	case !r.Header.HasToken("Upgrade", "websocket") || !r.Header.HasToken("Connection", "Upgrade"):
		return errors.New("got a response that does not upgrade to websocket")
	case r.Header.Get("Sec-WebSocket-Accept") != handshake.AcceptKey(p.key):
		return errors.New("got a response with the wrong Sec-WebSocket-Accept")
	}
	return has(r.Header, header)
}

// expectRequest reads the request of the client under test.
func (p *Peer) expectRequest(target string, header handshake.Header) error {
	var parser handshake.RequestParser
	r, err := readHead(p, parser.Parse)
	if err != nil {
		return err
	}
	up, err := handshake.ValidateRequest(r)
	if err != nil {
		return fmt.Errorf("got a request that is no opening handshake: %w", err)
	}
	p.key = up.Key
	if target != "" && r.Target != target {
		return fmt.Errorf("got the target %.200q", r.Target)
	}
	return has(r.Header, header)
}

// sendResponse sends the response of a server.
func (p *Peer) sendResponse(status int, header handshake.Header) error {
	own := handshake.Header{{Name: "Content-Length", Value: "0"}, {Name: "Connection", Value: "close"}}
	if status == 101 {
		own = handshake.Header{
			{Name: "Upgrade", Value: "websocket"},
			{Name: "Connection", Value: "Upgrade"},
			{Name: "Sec-WebSocket-Accept", Value: handshake.AcceptKey(p.key)},
		}
	}
	return p.send(appendFields(fmt.Appendf(nil, "HTTP/1.1 %d \r\n", status), own, header))
}

// readHead reads the head of an HTTP message.
func readHead[T any](p *Peer, parse func([]byte) (*T, int, error)) (*T, error) {
	for until := p.deadline(); ; {
		head, n, err := parse(p.in)
		p.in = p.in[n:]
		switch {
		case err != nil:
			return nil, fmt.Errorf("got no HTTP message: %w", err)
		case head != nil:
			return head, nil
		}
		if err := p.more(until); err != nil {
			return nil, fmt.Errorf("got %w", nameEnd(err))
		}
	}
}
