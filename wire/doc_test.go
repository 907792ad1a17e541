package wire_test

import (
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// TestNothingAllocates checks the package comment. dst has spare capacity.
func TestNothingAllocates(t *testing.T) {
	var (
		payload = make([]byte, 1024)
		h       = wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: key1, Length: 1024}
		buf     = make([]byte, 0, 2048)
		frame   = wire.AppendFrame(nil, h, payload)
		scratch = make([]byte, len(frame))
		closing = unhex("03e8 cebae1bdb9cf83cebcceb5")
		text    = []byte("The quick brown fox, and κόσμε, 日本語, 𝄞")
		u       wire.UTF8
	)
	tests := []struct {
		name string
		run  func() (ok bool)
	}{
		{"ParseHeader", func() bool {
			_, n, err := wire.ParseHeader(frame)
			return n == 8 && err == nil
		}},
		{"ParseHeader of a part", func() bool {
			_, n, err := wire.ParseHeader(frame[:5])
			return n == 0 && err == nil
		}},
		{"ParseHeader of a violation", func() bool {
			_, _, err := wire.ParseHeader([]byte{0x83})
			return err == wire.ErrReservedOpcode
		}},
		{"AppendHeader", func() bool {
			return len(wire.AppendHeader(buf, h)) == 8
		}},
		{"AppendFrame", func() bool {
			return len(wire.AppendFrame(buf, h, payload)) == len(frame)
		}},
		{"DecodeFrame", func() bool {
			copy(scratch, frame)
			f, n, err := wire.DecodeFrame(scratch)
			return n == len(frame) && len(f.Payload) == 1024 && err == nil
		}},
		{"DecodeFrame of a part", func() bool {
			_, n, err := wire.DecodeFrame(frame[:1000])
			return n == 0 && err == nil
		}},
		{"Mask", func() bool {
			return wire.Mask(payload, key1) == key1
		}},
		{"AppendClosePayload", func() bool {
			p, err := wire.AppendClosePayload(buf, wire.GoingAway, "until tomorrow")
			return len(p) == 16 && err == nil
		}},
		{"AppendClosePayload refused", func() bool {
			_, err := wire.AppendClosePayload(buf, 70000, "")
			return err == wire.ErrStatusCode
		}},
		{"ParseClosePayload", func() bool {
			code, reason, err := wire.ParseClosePayload(closing)
			return code == wire.NormalClosure && len(reason) == 11 && err == nil
		}},
		{"UTF8.Check", func() bool {
			u.Reset()
			return u.Check(text) == -1 && u.Complete()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ok := true
			allocs := testing.AllocsPerRun(100, func() { ok = tt.run() && ok })
			if allocs != 0 || !ok {
				t.Errorf("%v allocations, result as expected is %v", allocs, ok)
			}
		})
	}
}
