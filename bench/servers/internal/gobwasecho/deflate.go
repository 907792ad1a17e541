package gobwasecho

import (
	"compress/flate"
	"io"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// deflated is what a connection with permessage-deflate needs, put together as in
// the README, "Compression"; the level is flate.BestSpeed, as all peers have it.
type deflated struct {
	message  wsflate.MessageState // of the message that is read, and so of its echo
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

// inflater is a wsflate.ReadResetter, which is used for message after message.
type inflater struct{ io.ReadCloser }

func (r inflater) Reset(src io.Reader) { _ = r.ReadCloser.(flate.Resetter).Reset(src, nil) } // fails for dictionaries only

// source returns where to read the payload from that arrives by r.
func (d *deflated) source(r io.Reader) io.Reader {
	if !d.message.IsCompressed() {
		return r
	}
	d.inflater.Reset(r)
	return d.inflater
}

// send writes a message, compressed if that before it was.
func (d *deflated) send(w *wsutil.Writer, op ws.OpCode, p []byte) error {
	w.ResetOp(op)
	if err := d.write(w, p); err != nil {
		return err
	}
	return w.Flush()
}

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
