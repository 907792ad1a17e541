package wire

// Frame is a whole frame: its header and its payload, unmasked.
type Frame struct {
	Header
	Payload []byte
}

// DecodeFrame reads the frame that b begins with and returns its size n, so
// that the next one begins at b[n]. n is 0 if b does not hold the whole frame
// yet; then b is untouched. The error is that of [ParseHeader].
//
// The payload is part of b. If the frame is masked, it is unmasked there, once:
// b[:n] is no longer what came from the peer.
func DecodeFrame(b []byte) (f Frame, n int, err error) {
	h, n, err := ParseHeader(b)
	if n == 0 || h.Length > int64(len(b)-n) {
		return Frame{Header: h}, 0, err
	}
	end := n + int(h.Length)
	f = Frame{Header: h, Payload: b[n:end:end]}
	if h.Masked {
		Mask(f.Payload, h.Key)
	}
	return f, end, nil
}

// AppendFrame appends a frame with the given payload and returns the extended
// slice. h.Length is not looked at; the payload's length is used. If h.Masked,
// the copy is masked with h.Key and payload stays as it is. Like
// [AppendHeader] it writes what it is told.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.Length = int64(len(payload))
	dst = AppendHeader(dst, h)
	if h.Masked {
		dst, _ = AppendMasked(dst, payload, h.Key)
		return dst
	}
	return append(dst, payload...)
}
