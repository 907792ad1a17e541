package load

import (
	"bytes"
	"compress/flate"
	"io"
)

// tail has the bytes that a sender removes from the end of a compressed message
// (RFC 7692, Section 7.2.1) and a receiver appends (Section 7.2.2), and a final
// block, which ends the reader.
const (
	tail       = "\x00\x00\xff\xff"
	finalBlock = "\x01\x00\x00\xff\xff"
)

// maxWindow is the largest window of DEFLATE, in bytes.
const maxWindow = 32 << 10

// compress returns payload as the payload of a compressed message (RFC 7692,
// Section 7.2.1). It refers to no earlier message, and not further back than
// reach bytes, because each piece of that size is compressed by itself.
func compress(payload []byte, reach int) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	for rest := payload; err == nil; w.Reset(&out) {
		piece := rest[:min(len(rest), reach)]
		rest = rest[len(piece):]
		if _, err = w.Write(piece); err == nil {
			err = w.Flush()
		}
		if len(rest) == 0 {
			break
		}
	}
	if err != nil {
		panic("BUG: compressing into memory: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte(tail))
}

// inflater inflates one message after the other with the same memory.
type inflater struct {
	r       io.Reader
	out     bytes.Buffer
	history []byte // memory for the history of a message
}

// inflate returns the message that compressed is (RFC 7692, Section 7.2.2), of
// which at most most bytes and one more are inflated. history is the text
// before it that it may refer to. The result is valid until the next call.
func (f *inflater) inflate(compressed, history []byte, most int) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(compressed), bytes.NewReader([]byte(tail+finalBlock)))
	if f.r == nil {
		f.r = flate.NewReaderDict(in, history)
	} else if err := f.r.(flate.Resetter).Reset(in, history); err != nil {
		return nil, err
	}
	f.out.Reset()
	_, err := io.Copy(&f.out, io.LimitReader(f.r, int64(most)+1))
	return f.out.Bytes(), err
}
