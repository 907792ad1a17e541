//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

// This file keeps small the buffer that crypto/tls reads records into. It has
// that buffer as long as the connection lives, and never shrinks it:
//
//   - The first buffer has 517 bytes. It is replaced by one for a longer
//     record and 512 bytes more, or of twice the old size if that is more.
//   - A Read that returns a part of a record behind a whole one often doubles
//     the buffer, because the second record must fit behind the first.
//
// So a Read returns whole records, if there is one, and the ClientHello is
// split. It has 1,500 bytes and more since clients offer key exchanges that
// resist quantum computers. Later records are protected: they cannot be split.

// A recordPos is a position in a stream of TLS records.
type recordPos struct {
	left   uint16 // bytes of the record that follow, without those of its header
	header uint8  // bytes of an incomplete header before the position
	high   uint8  // the fourth of them: the high byte of the length
}

// advance moves pos to the end of b. It returns the size of the whole records
// in b, from its beginning.
func (pos *recordPos) advance(b []byte) (whole int) {
	for i := 0; i < len(b); {
		if pos.left > 0 {
			n := min(int(pos.left), len(b)-i)
			i += n
			pos.left -= uint16(n)
		} else {
			pos.header++
			switch pos.header {
			case recordHeader - 1:
				pos.high = b[i]
			case recordHeader:
				pos.header, pos.left = 0, uint16(pos.high)<<8|uint16(b[i])
			}
			i++
		}
		if pos.left == 0 && pos.header == 0 {
			whole = i
		}
	}
	return whole
}

// read copies whole records from in, or a part of one if p or in has no more.
// It returns the number of bytes.
func (pos *recordPos) read(p, in []byte) int {
	in = in[:min(len(in), len(p))]
	end := *pos
	if whole := end.advance(in); whole > 0 {
		in, end = in[:whole], recordPos{}
	}
	*pos = end
	return copy(p, in)
}

// A helloSplitter splits the record of the ClientHello into smaller records, as
// the client could have done (RFC 8446, Section 5.1).
type helloSplitter struct {
	begun bool
	kind  [3]byte // the first bytes of the record's header: type and version
	size  int     // of a fragment
	left  int     // bytes of the record that have not been read
}

const (
	recordHeader    = 5
	recordHandshake = 22 // the type of the ClientHello's record

	// maxFragment is the maximum size of a fragment in bytes. The first buffer
	// that crypto/tls allocates has that size, in addition to a header.
	maxFragment = 512
)

// needs returns the number of bytes for the next call of begin or read.
func (h *helloSplitter) needs() int {
	switch {
	case !h.begun:
		return recordHeader
	case h.left > 0:
		return min(h.size, h.left)
	}
	return 1
}

// begin parses the record's header at the beginning of the input, whose payload
// may be incomplete, and returns the number of bytes to skip. Halves,
// halves of these and so on fill the buffer that crypto/tls assembles a message
// in, whose size is doubled whenever it is full.
func (h *helloSplitter) begin(in []byte) (skip int) {
	h.begun = true
	if len(in) < recordHeader || in[0] != recordHandshake {
		return 0
	}
	h.size = int(in[3])<<8 | int(in[4])
	if h.size <= maxFragment {
		return 0
	}
	h.kind, h.left = [3]byte(in), h.size
	for h.size > maxFragment {
		h.size = (h.size + 1) / 2
	}
	return recordHeader
}

// read reads a fragment with its header from in, which is not empty, to p. It
// returns the sizes of both. The caller has checked that h.left is not 0.
func (h *helloSplitter) read(p, in []byte) (n, taken int) {
	taken = min(h.size, h.left, len(in), len(p)-recordHeader)
	h.left -= taken
	copy(p, h.kind[:])
	p[3], p[4] = byte(taken>>8), byte(taken)
	return recordHeader + copy(p[recordHeader:], in[:taken]), taken
}
