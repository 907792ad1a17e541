package fuzz

import (
	"bytes"
	"errors"

	"github.com/fibersock/fibersock/wire"
)

// Header reads data as a frame header. For every prefix wire.ParseHeader must
// return the result that RFC 6455, Section 5.2 defines for these bytes alone: a
// prefix of a valid header needs more bytes, a violation is found at its byte,
// and bytes after the header change nothing. wire.AppendHeader must reproduce a
// valid header.
//
// Then it reads the same bytes as the fields of a header: either
// wire.Header.Check returns an error, or the written form parses to the same
// fields.
func Header(data []byte) int {
	data = data[:min(len(data), 2*wire.MaxHeaderSize)]
	valid := false
	for n := range len(data) + 1 {
		valid = headerPrefix(data[:n]) || valid
	}
	headerFields(&program{data})
	return worth(valid)
}

// headerPrefix compares with the naive reading, and reports whether b begins with a
// valid header.
func headerPrefix(b []byte) bool {
	given := bytes.Clone(b)
	h, n, err := wire.ParseHeader(b)
	want := readHeader(b)
	if !bytes.Equal(b, given) {
		violated("reading a header changes nothing", "% x became % x", given, b)
	}
	if (err != nil) != want.broken {
		violated("a header is refused with the first byte that breaks a rule of Section 5.2 or 5.5, and not before",
			"% x: error %v, broken is %v", b, err, want.broken)
	}
	if err != nil {
		var rule *wire.Error
		if n != 0 || !errors.As(err, &rule) || rule.Code != wire.ProtocolError {
			violated("a bad header is a protocol error, and has no size", "% x: n %d, error %v", b, n, err)
		}
		return false
	}
	if n != want.size {
		violated("the size of a header is that of its bytes, and 0 while it is incomplete", "% x: n %d, want %d", b, n, want.size)
	}
	if h != want.fields {
		violated("the fields whose bytes have arrived are set, and no others", "% x: %+v, want %+v", b, h, want.fields)
	}
	if n == 0 {
		return false
	}
	if err := h.Check(); err != nil {
		violated("a parsed header is valid", "% x: %+v, yet Check says %v", b, h, err)
	}
	if again := wire.AppendHeader(nil, h); !bytes.Equal(again, b[:n]) {
		violated("a header is written as it was read", "% x became % x", b[:n], again)
	}
	return true
}

// headerFields writes a header of any fields and reads it back.
func headerFields(p *program) {
	first := p.byte()
	h := wire.Header{
		Fin:    first&0x80 != 0,
		RSV:    wire.RSV(first & 0x70),
		Opcode: wire.Opcode(first & 0x0f),
		Masked: p.byte()&1 != 0,
		Length: int64(p.uint64()) >> (p.byte() % 64),
	}
	if h.Masked {
		h.Key = wire.NewMaskingKey([4]byte{p.byte(), p.byte(), p.byte(), p.byte()})
	}
	kept := []byte("kept")
	b := wire.AppendHeader(kept, h)
	if !bytes.HasPrefix(b, kept) {
		violated("a header is appended", "%+v: %q", h, b)
	}
	b = b[len(kept):]
	got, n, err := wire.ParseHeader(b)
	if legal := h.Check() == nil; legal && (got != h || n != len(b) || err != nil) || !legal && err == nil {
		violated("a header that Check takes is read back, any other is refused",
			"%+v as % x: %+v, n %d, error %v; Check says %v", h, b, got, n, err, h.Check())
	}
}
