package conform

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// RFC 6455, Section 5.7.
func TestFramesOfTheRFC(t *testing.T) {
	key := &[4]byte{0x37, 0xfa, 0x21, 0x3d}
	for _, c := range []struct {
		name string
		f    frame
		key  *[4]byte
		want string // the first octets
	}{
		{"text", full(opText, "Hello"), nil, "810548656c6c6f"},
		{"masked text", full(opText, "Hello"), key, "818537fa213d7f9f4d5158"},
		{"first fragment", part(opText, "Hel"), nil, "010348656c"},
		{"last fragment", full(opContinuation, "lo"), nil, "80026c6f"},
		{"Ping", full(opPing, "Hello"), nil, "890548656c6c6f"},
		{"masked Pong", full(opPong, "Hello"), key, "8a8537fa213d7f9f4d5158"},
		{"256 bytes", full(opBinary, strings.Repeat("a", 256)), nil, "827e0100"},
		{"65536 bytes", full(opBinary, strings.Repeat("a", 65536)), nil, "827f0000000000010000"},
		{"what is illegal", reserved(7, 15, "a"), nil, "ff0161"},
	} {
		got := appendMasked(c.f.appendHeader(nil, len(c.f.payload), c.key), c.f.payload, c.key, 0)
		want, _ := hex.DecodeString(c.want)
		if !bytes.HasPrefix(got, want) {
			t.Errorf("%s: got % x, want % x", c.name, got[:len(want)], want)
		}

		// The reader reads the written frames, in pieces of any size.
		for _, size := range []int{1, 3, len(got)} {
			var r frameReader
			frames := 0
			for i := 0; i < len(got); i += size {
				rest, whole, err := r.read(bytes.Clone(got[i:min(i+size, len(got))]))
				if err != nil || len(rest) > 0 {
					t.Fatalf("%s in pieces of %d: %d octets left, %v", c.name, size, len(rest), err)
				}
				if whole {
					frames++
				}
			}
			if frames != 1 || r.info.Opcode != c.f.opcode || r.info.Fin != c.f.fin || r.info.RSV != c.f.rsv || r.info.Masked != (c.key != nil) || !bytes.Equal(r.payload, c.f.payload) {
				t.Errorf("%s in pieces of %d: %d frames, %+v %.20q", c.name, size, frames, r.info, r.payload)
			}
		}
	}
}

func TestReaderLeavesTheNextFrame(t *testing.T) {
	var r frameReader
	rest, whole, err := r.read([]byte("\x81\x01a\x8a\x00\x81"))
	if !whole || err != nil || string(r.payload) != "a" || string(rest) != "\x8a\x00\x81" {
		t.Fatalf("%q %v %v %q", r.payload, whole, err, rest)
	}
	rest, whole, err = r.read(rest)
	if !whole || err != nil || r.info.Opcode != opPong || len(r.payload) != 0 || string(rest) != "\x81" {
		t.Fatalf("%+v %v %v %q", r.info, whole, err, rest)
	}
	if _, whole, err = r.read(rest); whole || err != nil {
		t.Fatal(whole, err)
	}
}

func TestLengthsThatAreNotMinimalAreNoticed(t *testing.T) {
	for _, head := range []string{"\x82\x7e\x00\x7d", "\x82\xfe\x00\x7d\x01\x02\x03\x04", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"} {
		var r frameReader
		check.OKf(t, check.Err2(r.read([]byte(head))), "% x", head)
		rest, whole, err := r.read(make([]byte, r.length+2))
		if !whole || len(rest) != 2 || r.broken == nil || err != nil {
			t.Errorf("% x: %v, %v, %v", head, whole, r.broken, err)
		}
		if _, whole, _ = r.read([]byte("\x82\x00")); !whole || r.broken != nil {
			t.Errorf("after % x: %v, %v", head, whole, r.broken)
		}
	}
}

func TestLengthsThatNobodySendsAreRefused(t *testing.T) {
	for _, head := range []string{"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00"} {
		var r frameReader
		if _, _, err := r.read([]byte(head)); err == nil {
			t.Errorf("% x is accepted", head)
		}
	}
}

// The last fragment is empty if the payload is an exact multiple, which some peers fail at.
func TestSplitIntoFragments(t *testing.T) {
	for _, c := range []struct {
		length, size int
		want         []int
	}{
		{0, 0, []int{0}},
		{5, 0, []int{5}},
		{0, 2, []int{0}},
		{2, 2, []int{2}},
		{3, 2, []int{2, 1}},
		{4, 2, []int{2, 2, 0}},
		{5, 2, []int{2, 2, 1}},
	} {
		frames := split(opBinary, 4, make([]byte, c.length), c.size)
		if len(frames) != len(c.want) {
			t.Errorf("%d in %d: %d frames", c.length, c.size, len(frames))
			continue
		}
		for i, f := range frames {
			opcode, rsv := opContinuation, 0
			if i == 0 {
				opcode, rsv = opBinary, 4
			}
			if len(f.payload) != c.want[i] || f.fin != (i == len(frames)-1) || f.opcode != opcode || f.rsv != rsv {
				t.Errorf("%d in %d: frame %d is %+v", c.length, c.size, i, f)
			}
		}
	}
}

func TestMaskFromAnyOffset(t *testing.T) {
	key := &[4]byte{1, 2, 3, 4}
	p := []byte("what is masked, some of it")
	want := bytes.Clone(p)
	for i := range want {
		want[i] ^= key[i%4]
	}
	for i := range p {
		got := appendMasked(appendMasked(nil, p[:i], key, 0), p[i:], key, i)
		if !bytes.Equal(got, want) {
			t.Errorf("cut at %d: got % x, want % x", i, got, want)
		}
	}
}
