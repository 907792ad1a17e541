package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net"
)

var errHandshake = errors.New("no WebSocket handshake in the first bytes")

// upgrade makes the opening handshake (RFC 6455, Section 4.2) and moves the n
// bytes that follow it to the beginning of buf, which must hold the whole
// request. It reads only the key.
func upgrade(conn net.Conn, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := conn.Read(buf[n:])
		if err != nil {
			return 0, err
		}
		n += m
		request, rest, ok := bytes.Cut(buf[:n], []byte("\r\n\r\n"))
		if !ok {
			continue
		}
		key := keyOf(request)
		if key == nil {
			break
		}
		if _, err := conn.Write(response(key)); err != nil {
			return 0, err
		}
		return copy(buf, rest), nil
	}
	return 0, errHandshake
}

func keyOf(request []byte) []byte {
	for line := range bytes.SplitSeq(request, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Sec-WebSocket-Key")) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}

func response(key []byte) []byte {
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	r := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	r = base64.StdEncoding.AppendEncode(r, sum[:])
	return append(r, "\r\n\r\n"...)
}
