package servers_test

import (
	"bytes"
	"compress/flate"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/flatepeer"
	"github.com/fibersock/fibersock/wire"
)

// RFC 7692, without context takeover in either direction.
func TestEchoOfCompressedMessage(t *testing.T) {
	offer := handshake.Extension{Name: "permessage-deflate", Params: []handshake.Param{{Name: "server_no_context_takeover"}, {Name: "client_no_context_takeover"}}}
	each(t, func(t *testing.T, p peer) {
		if p.noDeflate {
			refuses(t, p.name, "-deflate")
			return
		}
		s := start(t, p.name, "-deflate")
		c := dial(t, s.Listening, nil, offer)
		for _, parameter := range append(offer.Params, handshake.Param{Name: offer.Name}) {
			if !strings.Contains(c.Extensions, parameter.Name) {
				t.Fatalf("agreed on %q, want %+v", c.Extensions, offer)
			}
		}
		for _, size := range []int{1000, 100_000, 600} {
			want := []byte(strings.Repeat("compressible, ", size/14))
			sent := text(string(deflate(want)))
			sent.RSV = wire.RSV1
			c.send(sent)
			m := c.message()
			if m.RSV != wire.RSV1 || m.Opcode != wire.Text || len(m.Payload) >= len(want) {
				t.Fatalf("%d bytes: RSV %v, %v, %d bytes", size, m.RSV, m.Opcode, len(m.Payload))
			}
			if got := inflate(t, m.Payload); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d other ones", size, len(got))
			}
		}
		// A message need not be compressed, extension or not; nor need its
		// echo.
		c.send(text("plain"))
		m := c.message()
		if m.RSV == wire.RSV1 {
			m.Payload = inflate(t, m.Payload)
		}
		if string(m.Payload) != "plain" {
			t.Errorf("RSV %v, %q", m.RSV, m.Payload)
		}
	})
}

// The messages are equal, so that with context takeover the second echo is a
// reference to the first.
func TestEchoWithContextTakeover(t *testing.T) {
	offer := handshake.Extension{Name: "permessage-deflate", Params: []handshake.Param{{Name: "client_max_window_bits"}}}
	each(t, func(t *testing.T, p peer) {
		switch {
		case p.noDeflate:
			return // as TestEchoOfCompressedMessage finds
		case p.noTakeover:
			refuses(t, p.name, "-takeover", "-deflate")
			return
		}
		s := start(t, p.name, "-deflate", "-takeover")
		c := dial(t, s.Listening, nil, offer)
		if strings.Contains(c.Extensions, "no_context_takeover") {
			t.Fatalf("agreed on %q, want %+v", c.Extensions, offer)
		}
		payload := make([]byte, 700)
		for i := range payload {
			payload[i] = ' ' + byte(i*i*i/7%90)
		}
		sent := text(string(deflate(payload)))
		sent.RSV = wire.RSV1
		var sizes []int
		for range 2 {
			c.send(sent)
			m := c.message()
			if m.RSV != wire.RSV1 {
				t.Fatalf("RSV %v, %v, %d bytes", m.RSV, m.Opcode, len(m.Payload))
			}
			sizes = append(sizes, len(m.Payload))
		}
		if sizes[1] > sizes[0]/2 {
			t.Errorf("echoes of %v bytes: no context takeover", sizes)
		}
	})
}

func TestWindowBits(t *testing.T) {
	offer := handshake.Extension{Name: "permessage-deflate", Params: []handshake.Param{{Name: "client_max_window_bits"}}}
	each(t, func(t *testing.T, p peer) {
		switch {
		case p.noDeflate:
			return // as TestEchoOfCompressedMessage finds
		case p.noWindowBits:
			refuses(t, p.name, "-window-bits", "9", "-deflate")
			c := dial(t, start(t, p.name, "-deflate", "-window-bits=15").Listening, nil, offer)
			if strings.Contains(c.Extensions, "_max_window_bits") {
				t.Errorf("agreed on %q, want windows of 15 bits", c.Extensions)
			}
			return
		}
		c := dial(t, start(t, p.name, "-deflate", "-takeover", "-window-bits=9").Listening, nil, offer)
		if !strings.Contains(c.Extensions, "client_max_window_bits=9") {
			t.Errorf("agreed on %q", c.Extensions)
		}
	})
}

func deflate(p []byte) []byte { return flatepeer.NewDeflater(flate.BestSpeed, false).Message(p) }

func inflate(t *testing.T, p []byte) []byte {
	t.Helper()
	got, err := new(flatepeer.Inflater).Message(p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
