package conform

import (
	"bytes"
	"compress/flate"
	"math"
)

// A deflater compresses the messages of one endpoint on a connection with
// permessage-deflate (RFC 7692, Section 7.2.1). Not safe for concurrent use.
//
// compress/flate knows windows of 32 KiB only. For a smaller one it is
// restarted after as many bytes as the window has, so no distance is longer.
type deflater struct {
	z        *flate.Writer
	dst      []byte
	window   int  // the number of bytes between restarts
	takeover bool // the window is kept from one message to the next
	n        int  // bytes since the last restart
}

// newDeflater returns a deflater for a window of 1<<windowBits bytes.
func newDeflater(windowBits int, takeover bool) *deflater {
	d := &deflater{window: 1 << windowBits, takeover: takeover}
	if windowBits == 15 {
		d.window = math.MaxInt
	}
	return d
}

// shortMessage is the longest first message, in bytes, for which a deflater
// uses a level that finds matches in short messages. It is too slow for long
// ones.
const shortMessage = 4 << 10

// message appends to dst the payload of the compressed message p, without the
// last four bytes 00 00 ff ff, and returns it.
func (d *deflater) message(dst, p []byte) []byte {
	d.dst = dst
	if d.z == nil {
		level := flate.BestSpeed
		if len(p) <= shortMessage {
			level = flate.DefaultCompression
		}
		d.z, _ = flate.NewWriter(d, level) // the level is valid
	} else if !d.takeover {
		d.restart()
	}
	for {
		if d.n == d.window {
			d.restart()
		}
		part := p[:min(len(p), d.window-d.n)]
		d.z.Write(part) // Write of d returns no error
		d.z.Flush()
		d.n += len(part)
		if p = p[len(part):]; len(p) == 0 {
			return bytes.TrimSuffix(d.dst, []byte{0, 0, 0xff, 0xff})
		}
	}
}

func (d *deflater) restart() {
	d.z.Reset(d)
	d.n = 0
}

// Write appends compressed bytes to dst.
func (d *deflater) Write(p []byte) (int, error) {
	d.dst = append(d.dst, p...)
	return len(p), nil
}
