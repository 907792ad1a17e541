// Package flatepeer compresses and decompresses the messages of
// permessage-deflate with compress/flate, for tests: the other end of a
// connection whose compression is not ours.
package flatepeer

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
)

const (
	// tail ends a compressed message and is not sent (RFC 7692, Section 7.2.1).
	tail = "\x00\x00\xff\xff"

	// finalBlock ends the stream for a flate.Reader.
	finalBlock = "\x01\x00\x00\xff\xff"

	window = 32 << 10 // of compress/flate, in bytes
)

// A Deflater compresses messages, with takeover in one context.
type Deflater struct {
	z        *flate.Writer
	out      bytes.Buffer
	takeover bool
}

// NewDeflater returns a Deflater of a level of compress/flate.
func NewDeflater(level int, takeover bool) *Deflater {
	d := &Deflater{takeover: takeover}
	var err error
	if d.z, err = flate.NewWriter(&d.out, level); err != nil {
		panic("BUG: flatepeer: " + err.Error())
	}
	return d
}

// Message returns the payload of the compressed message p.
func (d *Deflater) Message(p []byte) []byte {
	d.out.Reset()
	if !d.takeover {
		d.z.Reset(&d.out)
	}
	d.z.Write(p) // a bytes.Buffer returns no error
	d.z.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte(tail)))
}

// An Inflater decompresses messages, with Takeover in one context.
type Inflater struct {
	Takeover bool
	window   []byte
}

// Message returns the message of a compressed payload.
func (i *Inflater) Message(payload []byte) ([]byte, error) {
	stream := io.MultiReader(bytes.NewReader(payload), strings.NewReader(tail+finalBlock))
	p, err := io.ReadAll(flate.NewReaderDict(stream, i.window))
	if err == nil && i.Takeover {
		i.window = append(i.window, p...)
		i.window = i.window[max(0, len(i.window)-window):]
	}
	return p, err
}
