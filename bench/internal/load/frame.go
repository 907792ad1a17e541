package load

import (
	"fmt"

	"github.com/fibersock/fibersock/wire"
)

// appendMasked appends a masked frame (RFC 6455, Section 5.3).
func appendMasked(b []byte, h wire.Header, payload []byte, key [4]byte) []byte {
	h.Masked, h.Key = true, wire.NewMaskingKey(key)
	return wire.AppendFrame(b, h, payload)
}

// normalClose is Close 1000, masked.
var normalClose = appendMasked(nil, wire.Header{Fin: true, Opcode: wire.Close}, []byte("\x03\xe8"), [4]byte{0x6B, 0x1F, 0xA3, 0x52})

// closeText describes a Close frame's payload (RFC 6455, Section 5.5.1).
func closeText(payload []byte) string {
	if len(payload) < 2 {
		return "Close without status code"
	}
	code := int(payload[0])<<8 | int(payload[1])
	if len(payload) == 2 {
		return fmt.Sprintf("Close %d", code)
	}
	return fmt.Sprintf("Close %d %s", code, quote(payload[2:]))
}
