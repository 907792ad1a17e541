package fuzz

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// Request reads data as the first bytes of a client, after three bytes with the
// limits and the cuts. handshake.RequestParser must find the same head as a
// simple parser of the grammar, from the whole and from the pieces, and consume
// no byte after it. handshake.ValidateRequest must accept exactly the opening
// handshakes of RFC 6455, Section 4.2.1; a client accepts the response to
// those. The response to any other request is a complete HTTP response.
func Request(data []byte) int {
	p := &program{data}
	set, limits := headLimits(p.byte())
	cuts := uint64(p.uint16())
	stream := p.all()
	newParser := func() headParser[handshake.Request] { return &handshake.RequestParser{Limits: set} }
	r, n, err := parseHead(newParser, stream, cuts)
	longest := 8 << 10                                     // request line
	head, empty := bytes.CutPrefix(stream, []byte("\r\n")) // RFC 9112, Section 2.2
	if empty {
		limits.Bytes, longest = limits.Bytes-2, longest-2
	}
	line, fields, size := readHead(head, requestLine, longest, limits)
	if empty && size > 0 {
		size += 2
	}
	if (r != nil) != (size > 0) || r != nil && n != size {
		violated("a head ends with the first empty line, and is read if and only if the grammar allows it",
			"%q\n got %+v, %d, %v\nwant size %d", stream, r, n, err, size)
	}
	if err != nil {
		checkRefusal(err)
	}
	if r == nil {
		return dull
	}
	parts := strings.SplitN(line, " ", 3)
	if r.Method != parts[0] || r.Target != parts[1] || r.Proto != parts[2] || !sameFields(r.Header, fields) {
		violated("a head is cut where the grammar cuts it", "%q\n got %+v\nwant %q %q", stream[:n], r, parts, fields)
	}
	copied := handshake.Request{Method: r.Method, Target: r.Target, Proto: r.Proto, Header: r.Header}
	if again := handshake.RequestOf(copied.Text()); again.Method != r.Method || again.Target != r.Target || again.Proto != r.Proto || !sameFields(again.Header, r.Header) {
		violated("a request can be made from its text", "%q\n got %+v\nwant %+v", copied.Text(), again, r)
	}
	u, err := handshake.ValidateRequest(r)
	if want := opens(parts[0], parts[1], parts[2], fields); (err == nil) != want {
		violated("a request is accepted if and only if it is an opening handshake", "%q: error %v, want accepted %v", stream[:n], err, want)
	}
	_ = handshake.CheckOrigin(r, []string{"https://*.example.com"})
	if err != nil {
		checkRefusal(err)
	} else {
		answer(&u)
	}
	return interesting
}

func sameFields(a, b handshake.Header) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

// checkRefusal checks the response for an error.
func checkRefusal(err error) {
	var refused *handshake.Error
	if !errors.As(err, &refused) {
		violated("a refusal knows its HTTP status", "%T: %v", err, err)
	}
	b := handshake.AppendRefusal(nil, refused)
	var p handshake.ResponseParser
	r, n, err := p.Parse(b)
	if err != nil || r == nil || r.Status != refused.Status || r.Status < 400 || r.Status > 599 {
		violated("a refusal is an HTTP response with its status", "%q: %+v, %v", b, r, err)
	}
	body := string(b[n:])
	if r.Header.Get("Content-Length") != strconv.Itoa(len(body)) || !r.Header.HasToken("Connection", "close") {
		violated("a refusal says how long it is, and that it is the last", "%q", b)
	}
	if strings.ContainsAny(refused.Error(), "\r\n\x00\x1b") {
		violated("an error is fit for a log", "%q", refused.Error())
	}
}

// answer accepts a request, and reads the response as its client does.
func answer(u *handshake.ClientOffer) {
	a := handshake.ServerAnswer{Key: u.Key, Extensions: u.Extensions}
	if len(u.Subprotocols) > 0 {
		a.Subprotocol = u.Subprotocols[len(u.Subprotocols)-1]
	}
	b, err := handshake.AppendResponse(nil, &a)
	if err != nil {
		violated("a valid request can be accepted", "%+v: %v", u, err)
	}
	var p handshake.ResponseParser
	r, n, err := p.Parse(b)
	if err != nil || r == nil || n != len(b) {
		violated("an acceptance is the head of an HTTP response", "%q: %+v, %d, %v", b, r, n, err)
	}
	o := handshake.ClientOffer{Key: u.Key, Subprotocols: u.Subprotocols, Extensions: u.Extensions}
	got, err := handshake.ValidateResponse(r, &o)
	if err != nil || got.Subprotocol != a.Subprotocol || !sameExtensions(got.Extensions, a.Extensions) {
		violated("the client accepts the server's response", "%q: %+v, %v; want %+v", b, got, err, a)
	}
}

// acceptOf returns the Sec-WebSocket-Accept for a key (Section 4.2.2, step 5.4).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sameExtensions compares lists, in which nil and empty are the same.
func sameExtensions(a, b []handshake.Extension) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		same := a[i].Name == b[i].Name && len(a[i].Params) == len(b[i].Params)
		for j := 0; same && j < len(a[i].Params); j++ {
			same = a[i].Params[j] == b[i].Params[j]
		}
		if !same {
			return false
		}
	}
	return true
}
