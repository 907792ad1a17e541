package client

import (
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/internal/texts"
)

// maxInterim is the limit of interim responses, 100 or 103, before the final
// one.
const maxInterim = 8

// The first byte of a TLS record in answer to plain HTTP (RFC 8446, Section
// 5.1).
const (
	tlsAlert     = 0x15
	tlsHandshake = 0x16
)

// readResponse reads the head of the final response into buf. rest is the bytes
// behind it that were read with it. started, if it is not nil, is called after
// the first byte.
func readResponse(t netloop.Transport, buf []byte, started func() error) (r *handshake.Response, rest []byte, err error) {
	var p handshake.ResponseParser
	first := byte(0)
	for interim := 0; ; {
		r, n, err := p.Parse(rest)
		if err != nil {
			if first == tlsAlert || first == tlsHandshake {
				err = &handshake.ResponseError{Reason: "a TLS record came in answer to plain HTTP: the port expects TLS (wss)"}
			}
			return nil, nil, err
		}
		rest = rest[n:]
		if r != nil {
			if r.Status == 101 || r.Status >= 200 {
				return r, rest, nil
			}
			if interim++; interim > maxInterim {
				return nil, nil, &handshake.ResponseError{Reason: "more than " + strconv.Itoa(maxInterim) + " interim responses"}
			}
			p.Reset()
			continue
		}
		n, err = t.Read(buf)
		if n == 0 && err != nil {
			return nil, nil, err
		}
		rest = buf[:n]
		if first == 0 && n > 0 {
			first = rest[0]
			if started != nil {
				if err := started(); err != nil {
					return nil, nil, err
				}
			}
		}
	}
}

const (
	excerptSize = 1 << 10     // of the body of a refusal, in bytes
	excerptWait = time.Second // for the excerpt
)

// readExcerpt returns the beginning of the body of a response that refuses the
// handshake: the server's explanation. It decodes chunks and no other coding.
func readExcerpt(t netloop.Transport, r *handshake.Response, rest []byte) []byte {
	if r.Status == 101 || r.Status == 204 || r.Status == 304 {
		return nil
	}
	size, chunked := excerptSize, r.Header.HasToken("Transfer-Encoding", "chunked")
	if chunked {
		size = 2 * excerptSize // with room for the framing
	} else if length, ok := parseSize(r.Header.Get("Content-Length"), 10); ok {
		size = min(size, length)
	}
	raw := make([]byte, size)
	n := copy(raw, rest)
	t.SetReadDeadline(time.Now().Add(excerptWait))
	for ended := false; ; {
		body, complete := raw[:n], false
		if chunked {
			body, complete = dechunk(body)
		}
		if complete || n == size || ended {
			return body[:min(len(body), excerptSize)]
		}
		m, err := t.Read(raw[n:])
		n += m
		ended = err != nil
	}
}

// dechunk returns the payload of the chunks in raw, and reports whether it is
// complete: the last chunk is there, or a chunk is malformed (RFC 9112, Section
// 7.1). A server that counts wrong sends bytes between a chunk and its CRLF;
// dechunk includes them.
func dechunk(raw []byte) (body []byte, complete bool) {
	for text := string(raw); ; {
		line, after, found := strings.Cut(text, "\r\n")
		if !found {
			return body, false
		}
		digits, _, _ := strings.Cut(line, ";")
		for digits != "" && (digits[len(digits)-1] == ' ' || digits[len(digits)-1] == '\t') { // RFC 9112, Section 7.1.1: bad white space
			digits = digits[:len(digits)-1]
		}
		size, ok := parseSize(digits, 16)
		switch {
		case !ok || size == 0:
			return body, true
		case size >= len(after):
			return append(body, after...), false
		}
		beyond, next, found := strings.Cut(after[size:], "\r\n")
		body = append(body, after[:size+len(beyond)]...)
		if !found {
			return body, false
		}
		text = next
	}
}

// parseSize returns the number that s is in base 10 or 16. It reports false
// for other text and for 2 GiB or more.
func parseSize(s string, base int) (size int, ok bool) { return texts.Number(s, base, 1<<31-1) }
