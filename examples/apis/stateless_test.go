package apis

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// TestStatelessProtocolHelpers shows the equivalent of functions over byte slices.
func TestStatelessProtocolHelpers(t *testing.T) {
	key := wire.NewMaskingKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
	masked := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}

	t.Run("encode_frame(opcode, payload, mask)", func(t *testing.T) {
		h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key}
		if got := wire.AppendFrame(nil, h, []byte("Hello")); !bytes.Equal(got, masked) {
			t.Errorf("got % x, want % x", got, masked)
		}
	})

	t.Run("decode_frame(bytes) with full metadata and unmasked payload", func(t *testing.T) {
		b := append(bytes.Clone(masked), "next"...)
		f, n, err := wire.DecodeFrame(b)
		if err != nil || n != len(masked) {
			t.Fatalf("got %d, %v", n, err)
		}
		want := wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key, Length: 5}
		if f.Header != want || string(f.Payload) != "Hello" {
			t.Errorf("got %+v %q", f.Header, f.Payload)
		}
		if _, n, err := wire.DecodeFrame(masked[:10]); n != 0 || err != nil {
			t.Errorf("of a part: %d, %v; want 0 and no error", n, err)
		}
	})

	t.Run("encode_close_frame(code, reason)", func(t *testing.T) {
		p, err := wire.AppendClosePayload(nil, wire.GoingAway, "bye")
		if want := []byte("\x03\xe9bye"); err != nil || !bytes.Equal(p, want) {
			t.Errorf("got % x, %v", p, err)
		}
	})

	t.Run("parse_close_frame", func(t *testing.T) {
		code, reason, err := wire.ParseClosePayload([]byte("\x03\xe9bye"))
		if code != wire.GoingAway || string(reason) != "bye" || err != nil {
			t.Errorf("got %v %q %v", code, reason, err)
		}
	})

	t.Run("generate_key", func(t *testing.T) {
		k := handshake.NewKey()
		if raw, err := base64.StdEncoding.DecodeString(k); err != nil || len(raw) != 16 || k == handshake.NewKey() {
			t.Errorf("got %q", k)
		}
	})

	offer := &handshake.ClientOffer{Host: "server.example.com", Target: "/chat", Key: "dGhlIHNhbXBsZSBub25jZQ=="}

	t.Run("build_handshake_request(host, path, key)", func(t *testing.T) {
		b, err := handshake.AppendRequest(nil, offer)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"GET /chat HTTP/1.1\r\n", "Host: server.example.com\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n",
		} {
			if !bytes.Contains(b, []byte(line)) {
				t.Errorf("%q is missing in %q", line, b)
			}
		}
	})

	t.Run("validate_handshake_response(response, key)", func(t *testing.T) {
		validate := func(accept string) error {
			var p handshake.ResponseParser
			r, _, err := p.Parse([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = handshake.ValidateResponse(r, offer)
			return err
		}
		if err := validate("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); err != nil {
			t.Error(err)
		}
		var refused *handshake.ResponseError
		if err := validate("c3pPLMBiTxaQ9kYGzzhZRbK+xOo="); !errors.As(err, &refused) {
			t.Errorf("a wrong Sec-WebSocket-Accept: %v", err)
		}
	})

	t.Run("parse_url (scheme, host, port with default 80/443, path)", func(t *testing.T) {
		for _, c := range []struct {
			url, scheme, host string
			port              uint16
			target            string
		}{
			{"ws://example.com", "ws", "example.com", 80, "/"},
			{"wss://example.com/chat?room=1", "wss", "example.com", 443, "/chat?room=1"},
			{"ws://[::1]:8080/x", "ws", "::1", 8080, "/x"},
		} {
			u, err := handshake.ParseURL(c.url)
			if err != nil || u.Scheme != c.scheme || u.Host != c.host || u.Port != c.port || u.Target != c.target {
				t.Errorf("%s: got %+v, %v", c.url, u, err)
			}
		}
	})
}
