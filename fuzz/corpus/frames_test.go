package corpus

import (
	"bytes"
	"testing"
)

func TestStreamIsCutIntoFrames(t *testing.T) {
	long := append([]byte{0x82, 0x7e, 0x01, 0x00}, make([]byte, 256)...)
	longer := append([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}, make([]byte, 65536)...)
	masked := []byte{0x81, 0x81, 1, 2, 3, 4, 'a'}
	empty := []byte{0x89, 0x00}
	stream := bytes.Join([][]byte{long, longer, masked, empty}, nil)
	for _, rest := range [][]byte{nil, {0x81}, {0x81, 0x7e, 0}, {0x81, 0x80, 0, 0, 0}, {0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		frames, left := SplitFrames(append(bytes.Clone(stream), rest...))
		if len(frames) != 4 || !bytes.Equal(frames[0], long) || !bytes.Equal(frames[1], longer) || !bytes.Equal(frames[2], masked) || !bytes.Equal(frames[3], empty) {
			t.Errorf("rest % x: got %d other frames", rest, len(frames))
		}
		if !bytes.Equal(left, rest) {
			t.Errorf("got the rest % x, want % x", left, rest)
		}
	}
}

// RFC 6455, Section 5.7.
func TestMaskedFrameIsSpeltUnmasked(t *testing.T) {
	frame := []byte("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
	before := bytes.Clone(frame)
	plain, key, masked := Unmasked(frame)
	if string(plain) != "\x81\x85\x00\x00\x00\x00Hello" || key != [4]byte{0x37, 0xfa, 0x21, 0x3d} || !masked {
		t.Errorf("got %q, %x, %v", plain, key, masked)
	}
	if !bytes.Equal(frame, before) {
		t.Error("the frame itself was unmasked")
	}
	plain, _, masked = Unmasked([]byte("\x81\x05Hello"))
	if string(plain) != "\x81\x05Hello" || masked {
		t.Errorf("got %q, %v", plain, masked)
	}
}
