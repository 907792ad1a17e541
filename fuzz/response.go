package fuzz

import (
	"errors"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// sampleKey is the key of RFC 6455, Section 1.3.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// sampleOffer is the offer of the request that Response answers.
var sampleOffer = handshake.ClientOffer{
	Host:         "server.example.com",
	Target:       "/chat",
	Key:          sampleKey,
	Subprotocols: []string{"chat", "superchat"},
	Extensions:   []handshake.Extension{{Name: "permessage-deflate"}, {Name: "foo", Params: []handshake.Param{{Name: "x", Value: "1", HasValue: true}}}},
}

// Response reads data as the response to the sample request of RFC 6455,
// Section 1.3, after three bytes with the limits and the cuts.
// handshake.ResponseParser must find the same head as a simple parser of the
// grammar, from the whole and from the pieces, and consume no byte after it.
// handshake.ValidateResponse must accept exactly the responses of Section 4.1.
func Response(data []byte) int {
	p := &program{data}
	set, limits := headLimits(p.byte())
	cuts := uint64(p.uint16())
	stream := p.all()
	newParser := func() headParser[handshake.Response] { return &handshake.ResponseParser{Limits: set} }
	r, n, err := parseHead(newParser, stream, cuts)
	line, fields, size := readHead(stream, statusLine, limits.Bytes, limits)
	if (r != nil) != (size > 0) || r != nil && n != size {
		violated("a head ends with the first empty line, and is read if and only if the grammar allows it",
			"%q\n got %+v, %d, %v\nwant size %d", stream, r, n, err, size)
	}
	if err != nil {
		checkResponseError(err)
	}
	if r == nil {
		return dull
	}
	parts := append(strings.SplitN(line, " ", 3), "")
	status, _ := strconv.Atoi(parts[1])
	if r.Proto != parts[0] || r.Status != status || r.Reason != parts[2] || !sameFields(r.Header, fields) {
		violated("a head is cut where the grammar cuts it", "%q\n got %+v\nwant %q %q", stream[:n], r, parts, fields)
	}
	_, err = handshake.ValidateResponse(r, &sampleOffer)
	if want := accepts(parts[0], status, fields, &sampleOffer); (err == nil) != want {
		violated("a response is accepted if and only if it is the answer to the request", "%q: error %v, want accepted %v", stream[:n], err, want)
	}
	if err != nil {
		checkResponseError(err)
	}
	return interesting
}

func checkResponseError(err error) {
	var refused *handshake.ResponseError
	if !errors.As(err, &refused) || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
		violated("an invalid response is a *ResponseError, fit for a log", "%T: %q", err, err.Error())
	}
}
