package servers_test

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"
)

// RFC 7692, without context takeover in either direction.
func TestEchoOfCompressedMessage(t *testing.T) {
	const offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	each(t, func(t *testing.T, p peer) {
		if p.noDeflate {
			refuses(t, p.name, "-deflate")
			return
		}
		s := start(t, p.name, "-deflate")
		c := dial(t, s.Listening, nil, offer)
		for _, parameter := range strings.Split(offer, "; ") {
			if !strings.Contains(c.Extensions, parameter) {
				t.Fatalf("agreed on %q, want %q", c.Extensions, offer)
			}
		}
		for _, size := range []int{1000, 100_000, 600} {
			want := []byte(strings.Repeat("compressible, ", size/14))
			c.send(frame{fin: true, rsv1: true, opcode: opText, payload: deflate(t, want)})
			m := c.message()
			if !m.rsv1 || m.opcode != opText || len(m.payload) >= len(want) {
				t.Fatalf("%d bytes: RSV1 %t, opcode %d, %d bytes", size, m.rsv1, m.opcode, len(m.payload))
			}
			if got := inflate(t, m.payload); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d other ones", size, len(got))
			}
		}
		// A message need not be compressed, extension or not; nor need its echo.
		c.send(frame{fin: true, opcode: opText, payload: []byte("plain")})
		m := c.message()
		if m.rsv1 {
			m.payload = inflate(t, m.payload)
		}
		if string(m.payload) != "plain" {
			t.Errorf("RSV1 %t, %q", m.rsv1, m.payload)
		}
	})
}

// tail ends a flushed block and is not sent (Section 7.2.1).
const tail = "\x00\x00\xff\xff"

func deflate(t *testing.T, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(p)
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(tail))
}

func inflate(t *testing.T, p []byte) []byte {
	t.Helper()
	const last = "\x01\x00\x00\xff\xff" // an empty block that ends the stream
	got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader(tail+last))))
	if err != nil {
		t.Fatal(err)
	}
	return got
}
