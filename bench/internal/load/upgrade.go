package load

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/fibersock/fibersock/handshake"
)

// maxResponse bounds the server's opening handshake, in bytes.
const maxResponse = 16 << 10

// The extension as offered. Without context takeover each message is compressed
// by itself, and any reply is inflated without those before it (RFC 7692,
// Section 7.1.1). With it, the offer is that of browsers: the server may limit
// both windows, to its own default.
const (
	deflateName   = "permessage-deflate"
	aloneOffer    = deflateName + "; " + serverAlone + "; " + clientAlone
	takeoverOffer = deflateName + "; " + clientBits

	serverAlone = "server_no_context_takeover"
	clientAlone = "client_no_context_takeover"
	clientBits  = "client_max_window_bits"
)

// upgrade is one opening handshake (RFC 6455, Section 4.1): the request and the
// required response.
type upgrade struct {
	request []byte
	accept  []byte // value of Sec-WebSocket-Accept
	offer   string // of the extension, which the server must accept; empty: none
	reach   int    // largest distance in a compressed message
}

func newUpgrade(c Config) *upgrade {
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	u := &upgrade{accept: []byte(base64.StdEncoding.EncodeToString(sum[:])), reach: c.reach}
	path := c.Path
	if path == "" {
		path = "/"
	}
	u.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", path, c.Addr, key)
	switch {
	case c.Takeover:
		u.offer = takeoverOffer
	case c.Deflate:
		u.offer = aloneOffer
	}
	if u.offer != "" {
		u.request = append(u.request, "Sec-WebSocket-Extensions: "+u.offer+"\r\n"...)
	}
	u.request = append(u.request, "\r\n"...)
	return u
}

// responseEnd returns the length of the response's head in p, 0 while it is
// incomplete.
func responseEnd(p []byte) int {
	blank := []byte("\r\n\r\n")
	if at := bytes.Index(p, blank); at >= 0 {
		return at + len(blank)
	}
	return 0
}

// mismatch describes the difference between a response and the required one.
type mismatch struct{ want, got string }

// check judges a whole response head (RFC 6455, Section 4.1, items 1 to 6 on
// the server's response); nil is right.
func (u *upgrade) check(head []byte) *mismatch {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 101")) {
		return &mismatch{"a response of status 101", quote(line)}
	}
	var seen struct{ upgrade, connection, accept, extensions []byte }
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "Upgrade"):
			seen.upgrade = value
		case is(name, "Connection"):
			seen.connection = value
		case is(name, "Sec-WebSocket-Accept"):
			seen.accept = value
		case is(name, "Sec-WebSocket-Extensions"):
			seen.extensions = value
		}
	}
	switch {
	case !is(seen.upgrade, "websocket"):
		return &mismatch{"Upgrade: websocket", quote(seen.upgrade)}
	case !is(seen.connection, "upgrade"):
		return &mismatch{"Connection: Upgrade", quote(seen.connection)}
	case !bytes.Equal(seen.accept, u.accept):
		return &mismatch{"Sec-WebSocket-Accept: " + string(u.accept), quote(seen.accept)}
	}
	return u.checkExtensions(seen.extensions)
}

func (u *upgrade) checkExtensions(value []byte) *mismatch {
	if u.offer == "" {
		if len(value) > 0 {
			return &mismatch{"no extension, as none was offered", quote(value)}
		}
		return nil
	}
	agreed, err := parameters(value)
	_, alone := agreed[serverAlone]
	_, sendAlone := agreed[clientAlone]
	switch takeover := u.offer == takeoverOffer; {
	case takeover && (err != nil || alone || sendAlone):
		return &mismatch{deflateName + " with context takeover in both directions, as offered", quote(value)}
	case !takeover && (err != nil || !alone):
		return &mismatch{deflateName + " with " + serverAlone + ", as offered", quote(value)}
	}
	if bits, limited := agreed[clientBits]; limited {
		if n, err := strconv.Atoi(bits); err != nil || n > 15 || 1<<n < u.reach {
			return &mismatch{fmt.Sprintf("a %s that allows distances of %d bytes", clientBits, u.reach), quote(value)}
		}
	}
	return nil
}

// parameters returns the parameters of the extension that a server has agreed
// to, by their names.
func parameters(value []byte) (map[string]string, error) {
	list, err := handshake.ParseExtensions(nil, string(value))
	if err != nil {
		return nil, err
	}
	if len(list) != 1 || list[0].Name != deflateName {
		return nil, fmt.Errorf("want one extension, %s", deflateName)
	}
	all := make(map[string]string)
	for _, p := range list[0].Params {
		all[p.Name] = p.Value
	}
	return all, nil
}

// is compares without regard to case, as names of header fields and the values
// of Upgrade and Connection are.
func is(value []byte, want string) bool {
	return len(value) == len(want) && bytes.EqualFold(value, []byte(want))
}
