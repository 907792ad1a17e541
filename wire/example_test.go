package wire_test

import (
	"fmt"

	"github.com/fibersock/fibersock/wire"
)

// The header arrives in pieces; n is 0 until it is complete.
func ExampleParseHeader() {
	b := []byte{0x82, 0x7e, 0x01, 0x00} // binary, 256 bytes
	for _, arrived := range []int{1, 2, 4} {
		h, n, err := wire.ParseHeader(b[:arrived])
		fmt.Println(n, err, h.Fin, h.Opcode, h.Length)
	}

	_, _, err := wire.ParseHeader([]byte{0x83})
	fmt.Println(err)
	// Output:
	// 0 <nil> true binary 0
	// 0 <nil> true binary 0
	// 4 <nil> true binary 256
	// websocket: reserved opcode
}

// A client's frame is masked, a server's is not (RFC 6455, Section 5.7).
func ExampleAppendFrame() {
	h := wire.Header{Fin: true, Opcode: wire.Text}
	fmt.Printf("% x\n", wire.AppendFrame(nil, h, []byte("Hello")))

	h.Masked, h.Key = true, wire.NewMaskingKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
	fmt.Printf("% x\n", wire.AppendFrame(nil, h, []byte("Hello")))
	// Output:
	// 81 05 48 65 6c 6c 6f
	// 81 85 37 fa 21 3d 7f 9f 4d 51 58
}

// A transport that writes header and payload separately needs no copy of the
// payload.
func ExampleAppendHeader() {
	payload := make([]byte, 1000)
	h := wire.Header{Fin: true, Opcode: wire.Binary, Length: int64(len(payload))}
	fmt.Printf("% x\n", wire.AppendHeader(nil, h))
	// Output: 82 7e 03 e8
}

// A client masks a payload while it copies the payload behind a header.
func ExampleAppendMasked() {
	h := wire.Header{Fin: true, Opcode: wire.Text, Length: 5}
	h.Masked, h.Key = true, wire.NewMaskingKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
	frame, _ := wire.AppendMasked(wire.AppendHeader(nil, h), []byte("Hello"), h.Key)
	fmt.Printf("% x\n", frame)
	// Output: 81 85 37 fa 21 3d 7f 9f 4d 51 58
}

// Two fragments of one text message, and the start of a third frame.
func ExampleDecodeFrame() {
	b := []byte("\x01\x03Hel\x80\x02lo\x89\x05")
	for {
		f, n, err := wire.DecodeFrame(b)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n == 0 {
			fmt.Println(len(b), "bytes of a", f.Opcode, "frame")
			return
		}
		fmt.Printf("%v %q, last: %v\n", f.Opcode, f.Payload, f.Fin)
		b = b[n:]
	}
	// Output:
	// text "Hel", last: false
	// continuation "lo", last: true
	// 2 bytes of a ping frame
}

// A payload that arrives in two pieces is unmasked in two calls.
func ExampleMask() {
	key := wire.NewMaskingKey([4]byte{0x37, 0xfa, 0x21, 0x3d})
	first, rest := []byte{0x7f, 0x9f, 0x4d}, []byte{0x51, 0x58}

	key = wire.Mask(first, key)
	wire.Mask(rest, key)
	fmt.Printf("%s%s\n", first, rest)
	// Output: Hello
}

func ExampleAppendClosePayload() {
	p, err := wire.AppendClosePayload(nil, wire.GoingAway, "bye")
	fmt.Printf("% x %v\n", p, err)

	_, err = wire.AppendClosePayload(nil, wire.AbnormalClosure, "")
	fmt.Println(err)
	// Output:
	// 03 e9 62 79 65 <nil>
	// websocket: status code not allowed in a close frame
}

func ExampleParseClosePayload() {
	code, reason, err := wire.ParseClosePayload([]byte("\x03\xe9bye"))
	fmt.Printf("%v %q %v\n", code, reason, err)

	code, reason, err = wire.ParseClosePayload(nil)
	fmt.Printf("%v %q %v\n", code, reason, err)
	// Output:
	// 1001 (going away) "bye" <nil>
	// 1005 (no status received) "" <nil>
}

// The three bytes of the euro sign arrive in two pieces. The byte ff is invalid
// anywhere.
func ExampleUTF8() {
	var text wire.UTF8
	fmt.Println(text.Check([]byte("100 \xe2")), text.Complete())
	fmt.Println(text.Check([]byte("\x82\xac")), text.Complete())
	fmt.Println(text.Check([]byte("ab\xff")))
	// Output:
	// -1 false
	// -1 true
	// 2
}
