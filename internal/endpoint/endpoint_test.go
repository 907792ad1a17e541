package endpoint

import (
	"bytes"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

func TestWholeMessageIsASliceOfTheInput(t *testing.T) {
	var out bytes.Buffer
	e := New(&out, Config{Role: Server})
	in := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: 0x01020304}, []byte("Hello"))
	ev, n := e.Receive(in)
	if ev.Kind != Message || string(ev.Payload) != "Hello" || n != len(in) {
		t.Fatalf("got %+v, %d", ev, n)
	}
	if &ev.Payload[0] != &in[6] {
		t.Error("the payload was copied")
	}
}
