package corpus

import (
	"encoding/binary"
	"errors"
)

// The corpus has its own reading of a frame's outline, the plainest there is,
// so that it does not lean on the code that it tests.

// outline returns the size of the frame header that b begins with and the
// payload length it announces, or zeros if b holds only part of the header.
func outline(b []byte) (header int, length uint64) {
	if len(b) < 2 {
		return 0, 0
	}
	header = 2
	length = uint64(b[1] & 0x7f)
	switch length {
	case 126:
		header += 2
	case 127:
		header += 8
	}
	if b[1]&0x80 != 0 {
		header += 4
	}
	if len(b) < header {
		return 0, 0
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		length = binary.BigEndian.Uint64(b[2:])
	}
	return header, length
}

// SplitFrames splits b into frames. The rest is the beginning of another one.
func SplitFrames(b []byte) (frames [][]byte, rest []byte) {
	for {
		header, length := outline(b)
		if header == 0 || length > uint64(len(b)-header) {
			return frames, b
		}
		size := header + int(length)
		frames = append(frames, b[:size:size])
		b = b[size:]
	}
}

// Unmasked returns a whole frame as scripts spell it, a masked one with its
// payload unmasked and the masking key 00000000, and the key that it had.
func Unmasked(frame []byte) (plain []byte, key [4]byte, masked bool) {
	plain = append(plain, frame...)
	header, _ := outline(plain)
	if header == 0 || plain[1]&0x80 == 0 {
		return plain, key, false
	}
	copy(key[:], plain[header-4:])
	clear(plain[header-4 : header])
	payload := plain[header:]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return plain, key, true
}

var errMasked = errors.New("a frame of a script of role both has the mask bit")

// masker sets the mask bit and the masking key 00000000, which does not change
// the payload, in every frame of a stream. The stream may be cut anywhere.
type masker struct {
	header  []byte // a partial header, unmasked
	payload uint64 // remaining payload bytes
}

// mask returns the masked form of the next bytes of the stream.
func (m *masker) mask(b []byte) ([]byte, error) {
	var out []byte
	for _, c := range b {
		if m.payload > 0 {
			m.payload--
			out = append(out, c)
			continue
		}
		m.header = append(m.header, c)
		if len(m.header) == 2 {
			if c&0x80 != 0 {
				return nil, errMasked
			}
			c |= 0x80
		}
		out = append(out, c)
		header, length := outline(m.header)
		if header == 0 {
			continue
		}
		out = append(out, 0, 0, 0, 0)
		m.header, m.payload = m.header[:0], length
	}
	return out, nil
}
