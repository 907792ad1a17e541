package wire_test

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// TestEveryOpcode checks name and kind of all 16 values (6455-5.2-c,
// 6455-5.2-d).
func TestEveryOpcode(t *testing.T) {
	type kind struct{ defined, control, data bool }
	tests := []struct {
		opcode wire.Opcode
		name   string
		want   kind
	}{
		{wire.Continuation, "continuation", kind{defined: true}},
		{wire.Text, "text", kind{defined: true, data: true}},
		{wire.Binary, "binary", kind{defined: true, data: true}},
		{0x3, "opcode 0x3", kind{}},
		{0x4, "opcode 0x4", kind{}},
		{0x5, "opcode 0x5", kind{}},
		{0x6, "opcode 0x6", kind{}},
		{0x7, "opcode 0x7", kind{}},
		{wire.Close, "close", kind{defined: true, control: true}},
		{wire.Ping, "ping", kind{defined: true, control: true}},
		{wire.Pong, "pong", kind{defined: true, control: true}},
		{0xb, "opcode 0xb", kind{control: true}},
		{0xc, "opcode 0xc", kind{control: true}},
		{0xd, "opcode 0xd", kind{control: true}},
		{0xe, "opcode 0xe", kind{control: true}},
		{0xf, "opcode 0xf", kind{control: true}},
	}
	for i, tt := range tests {
		if int(tt.opcode) != i {
			t.Errorf("%s has the value %#x, want %#x", tt.name, byte(tt.opcode), i)
		}
		check.Equal(t, tt.opcode.String(), tt.name, "opcode %#x is called", i)
		got := kind{tt.opcode.Defined(), tt.opcode.IsControl(), tt.opcode.IsData()}
		check.Equal(t, got, tt.want, "%s", tt.name)
	}
}

// TestOpcodeOverFourBits checks that such an opcode is not defined and has a
// hexadecimal name.
func TestOpcodeOverFourBits(t *testing.T) {
	for opcode, want := range map[wire.Opcode]string{0x10: "opcode 0x10", 0x11: "opcode 0x11", 0x1f: "opcode 0x1f", 0xa9: "opcode 0xa9", 0xff: "opcode 0xff"} {
		if got := opcode.String(); got != want || opcode.Defined() || opcode.IsData() {
			t.Errorf("opcode %#x is called %q, defined %v, data %v; want %q, not defined", byte(opcode), got, opcode.Defined(), opcode.IsData(), want)
		}
	}
}
