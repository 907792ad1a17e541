package gobwas

import (
	"compress/flate"
	"io"

	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// deflated is the state of a connection with permessage-deflate, assembled as
// in the README, "Compression". The level is flate.BestSpeed, as in all
// libraries.
type deflated struct {
	message  wsflate.MessageState // of the message read last
	inflater *wsflate.Reader
	deflater *wsflate.Writer
}

func newDeflated() *deflated {
	return &deflated{
		inflater: wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return inflater{flate.NewReader(r)} }),
		deflater: wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
			f, _ := flate.NewWriter(w, flate.BestSpeed) // fails for a wrong level only
			return f
		}),
	}
}

// inflater is a wsflate.ReadResetter, which is reused for each message.
type inflater struct{ io.ReadCloser }

func (r inflater) Reset(src io.Reader) { _ = r.ReadCloser.(flate.Resetter).Reset(src, nil) } // fails for dictionaries only

// source returns the reader of the inflated payload in r.
func (d *deflated) source(r io.Reader) io.Reader {
	if !d.message.IsCompressed() {
		return r
	}
	d.inflater.Reset(r)
	return d.inflater
}

// write writes a payload to w, compressed if the message read last was.
func (d *deflated) write(w *wsutil.Writer, p []byte) error {
	if !d.message.IsCompressed() {
		_, err := w.Write(p)
		return err
	}
	d.deflater.Reset(w)
	if _, err := d.deflater.Write(p); err != nil {
		return err
	}
	return d.deflater.Close()
}
