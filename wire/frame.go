package wire

// Frame is a complete frame with its payload unmasked.
type Frame struct {
	Header
	Payload []byte
}

// DecodeFrame decodes the frame at the start of b and returns its size n; the
// next frame starts at b[n]. If b holds only part of the frame, n is 0, f has
// the header as [ParseHeader] returns it, and b is unchanged. The error is that
// of ParseHeader.
//
// The payload aliases b, and its capacity ends with it. DecodeFrame unmasks a
// masked payload in place, so decoding the same bytes twice masks them again.
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

// AppendFrame appends a frame with the header h and the payload, and returns
// the extended slice. It ignores h.Length and encodes the length of payload. If
// h.Masked is set, the appended copy is masked with h.Key; payload itself is
// unchanged and not retained. Like [AppendHeader], it does not validate h.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.Length = int64(len(payload))
	dst = AppendHeader(dst, h)
	if h.Masked {
		dst, _ = AppendMasked(dst, payload, h.Key)
		return dst
	}
	return append(dst, payload...)
}
