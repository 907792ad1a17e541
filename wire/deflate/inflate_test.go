package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/flatepeer"
)

// unhex returns the bytes of s, which may contain spaces.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inflateWhole decompresses a message of at most limit bytes in one call.
func inflateWhole(d *Decompressor, p []byte, limit int) ([]byte, error) {
	out, n, err := d.Append(nil, p, true, limit)
	switch {
	case err != nil:
		return nil, err
	case d.Pending():
		return out, errTooLong
	case n != len(p):
		return nil, fmt.Errorf("%d of %d bytes consumed", n, len(p))
	}
	return out, nil
}

var errTooLong = errors.New("more text than the limit")

// inflatePieces decompresses a message of at most limit bytes: pieces of
// sizes() bytes with a limit of room() bytes. It does not retain the text, so
// that references to earlier pieces are read from the window. At random it parks
// d, and then another message uses the tables.
func inflatePieces(d *Decompressor, p []byte, limit int, sizes, room func() int) ([]byte, error) {
	var text []byte
	for done := false; !done; {
		piece := p[:min(sizes(), len(p))]
		p = p[len(piece):]
		done = len(p) == 0
		for {
			r := min(room(), limit-len(text))
			out, n, err := d.Append(make([]byte, 3, 3+rand.IntN(40)), piece, done, r)
			if err != nil {
				return nil, err
			}
			text = append(text, out[3:]...)
			if len(out)-3 > r {
				return nil, fmt.Errorf("%d bytes of text exceed the limit of %d", len(out)-3, r)
			}
			piece = piece[n:]
			if !d.Pending() {
				break
			}
			if len(text) == limit && r == 0 {
				return text, errTooLong
			}
		}
		if len(piece) > 0 {
			return nil, fmt.Errorf("%d bytes are not consumed, and nothing is pending", len(piece))
		}
		if rand.IntN(2) == 0 {
			d.Park()
			if _, err := inflateWhole(NewDecompressor(DecompressorOptions{8, false}), dynamicHello, 5); err != nil {
				return nil, err
			}
		}
	}
	return text, nil
}

func always(n int) func() int { return func() int { return n } }

func upTo(n int) func() int { return func() int { return 1 + rand.IntN(n) } }

// corpus returns texts of several kinds, 256 KiB each.
func corpus() map[string][]byte {
	const size = 1 << 18
	r := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, size)
	few := make([]byte, size)
	skewed := make([]byte, size)
	for i := range noise {
		noise[i] = byte(r.Uint32())
		few[i] = byte(r.Uint32() & 3)
		for n := r.Uint32(); n&1 == 1; n >>= 1 {
			skewed[i] += 13 // ever rarer symbols: long codes
		}
	}
	var runs []byte
	for len(runs) < size {
		runs = append(runs, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(600))...)
	}
	var json []byte
	for i := 0; len(json) < size; i++ {
		json = fmt.Appendf(json, `{"type":"trade","symbol":"%s","price":%d.%02d,"size":%d,"side":"%s","id":%d,"ts":17%011d}`+"\n",
			[]string{"BTC-USD", "ETH-USD", "SOL-EUR", "XRP-USD"}[r.IntN(4)], r.IntN(70000), r.IntN(100), r.IntN(5000), []string{"buy", "sell"}[r.IntN(2)], 8_000_000+i, r.IntN(1e9))
	}
	var periods []byte
	for len(periods) < size {
		p := make([]byte, 1+r.IntN(20))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		periods = append(periods, bytes.Repeat(p, 1+r.IntN(300/len(p)))...)
	}
	mixed := append(append(bytes.Clone(json[:size/4]), noise[:size/4]...), append(skewed[:size/4:size/4], make([]byte, size/4)...)...)
	return map[string][]byte{
		"json": json[:size], "noise": noise, "few": few, "skewed": skewed, "runs": runs[:size],
		"periods": periods[:size], "zeros": make([]byte, size), "mixed": mixed,
	}
}

// RFC 7692, Section 7.2.3, and other legal messages.
var legalMessages = []struct {
	name     string
	takeover bool
	messages string // separated by commas
	want     string // separated by commas
}{
	{"7.2.3.1: one block", false, "f248cdc9c90700", "Hello"},
	{"7.2.3.2: the second message refers to the first", true, "f248cdc9c90700,f200110000", "Hello,Hello"},
	{"7.2.3.2: without takeover", false, "f248cdc9c90700,f248cdc9c90700", "Hello,Hello"},
	{"7.2.3.3: a stored block", false, "000500faff48656c6c6f00", "Hello"},
	{"7.2.3.4: a final block", false, "f348cdc9c9070000", "Hello"},
	{"a final block, and nothing of an empty one", false, "f348cdc9c90700", "Hello"},
	{"an empty final block at the end", false, "f248cdc9c90704", "Hello"},
	{"text after a final block", false, "f348cdc9c90700f248cdc9c90700", "HelloHello"},
	{"text after a final block and an empty one", false, "f348cdc9c90700000000fffff248cdc9c90700", "HelloHello"},
	{"a reference across a final block", false, "f348cdc9c90700f200110000", "HelloHello"},
	{"the window outlives a final block", true, "f348cdc9c9070000,f200110000", "Hello,Hello"},
	{"7.2.3.5: two blocks", false, "f24805000000ffffcac9c90700", "Hello"},
	{"7.2.3.6: an empty message", false, "00", ""},
	{"an empty message of an empty fixed block", false, "0200", ""},
	{"a message of no bytes", false, "", ""},
	{"an empty message leaves the window", true, "f248cdc9c90700,00,0200,,f200110000", "Hello,,,,Hello"},
	{"empty final blocks", false, "030003000300", ""},
	{"a final stored block of no bytes", false, "010000ffff01", ""},
	{"a dynamic block", false, hex.EncodeToString(dynamicHello), "Hello"},
}

func TestLegalMessages(t *testing.T) {
	for _, c := range legalMessages {
		t.Run(c.name, func(t *testing.T) {
			for name, inflate := range map[string]func(d *Decompressor, p []byte) ([]byte, error){
				"whole": func(d *Decompressor, p []byte) ([]byte, error) { return inflateWhole(d, p, 100) },
				"bytes": func(d *Decompressor, p []byte) ([]byte, error) {
					return inflatePieces(d, p, 100, always(1), always(100))
				},
				"limits": func(d *Decompressor, p []byte) ([]byte, error) {
					return inflatePieces(d, p, 100, always(100), always(1))
				},
				"exact": func(d *Decompressor, p []byte) ([]byte, error) {
					return inflateWhole(d, p, len(strings.Split(c.want, ",")[0]))
				},
			} {
				d := NewDecompressor(DecompressorOptions{15, c.takeover})
				want := strings.Split(c.want, ",")
				for i, m := range strings.Split(c.messages, ",") {
					got, err := inflate(d, unhex(t, m))
					if err != nil || string(got) != want[i] {
						if name == "exact" && len(want[i]) > len(want[0]) {
							continue
						}
						t.Fatalf("%s: message %d: got %q, error %v; want %q", name, i, got, err, want[i])
					}
				}
			}
		})
	}
}

// dynamicHello is "Hello" in a dynamic block, and the beginning of an empty
// stored block.
var dynamicHello = func() []byte {
	var w testBits
	lengths := make([]uint8, 257)
	lengths['H'], lengths['e'], lengths['l'], lengths['o'], lengths[256] = 2, 2, 2, 3, 3
	c := w.dynamic(0, lengths, []uint8{1})
	for _, b := range []byte("Hello") {
		w.code(c, int(b))
	}
	w.code(c, 256)
	w.put(0, 3)
	return w.bytes()
}()

// testBits writes the elements of DEFLATE data.
type testBits struct {
	out  []byte
	used uint // bits in the last byte
}

// put appends the low n bits of v, the lowest first.
func (w *testBits) put(v uint64, n int) {
	for i := range n {
		if w.used%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[len(w.out)-1] |= byte(v>>i&1) << (w.used % 8)
		w.used++
	}
}

func (w *testBits) align() { w.used = (w.used + 7) / 8 * 8 }

func (w *testBits) bytes() []byte { return w.out }

// code appends the canonical code of sym.
func (w *testBits) code(lengths []uint8, sym int) {
	c, n := canonical(lengths, sym)
	for i := n - 1; i >= 0; i-- {
		w.put(uint64(c>>i), 1)
	}
}

// canonical returns the code of sym by the algorithm of RFC 1951, Section 3.2.2.
func canonical(lengths []uint8, sym int) (code, n int) {
	var count, next [16]int
	for _, l := range lengths {
		if l > 0 {
			count[l]++
		}
	}
	for l := 1; l < 16; l++ {
		code = (code + count[l-1]) << 1
		next[l] = code
	}
	for s, l := range lengths {
		if s == sym {
			return next[l], int(l)
		}
		if l > 0 {
			next[l]++
		}
	}
	panic("no such symbol")
}

// dynamic appends the header of a dynamic block, with a code length for each
// symbol and no repetition, and returns lits.
func (w *testBits) dynamic(final uint64, lits, dists []uint8) []uint8 {
	w.put(final|2<<1, 3)
	w.put(uint64(len(lits)-257), 5)
	w.put(uint64(len(dists)-1), 5)
	w.put(15, 4)
	cl := make([]uint8, 19)
	for i := range 16 {
		cl[i] = 4
	}
	for _, i := range codeOrder {
		w.put(uint64(cl[i]), 3)
	}
	for _, l := range lits {
		w.code(cl, int(l))
	}
	for _, l := range dists {
		w.code(cl, int(l))
	}
	return lits
}

// fixedLits and fixedDists are the code lengths of the fixed codes.
var fixedLits, fixedDists = fixedLens()

// fixedLens returns the code lengths of the fixed codes.
func fixedLens() (lits, dists []uint8) {
	lits, dists = make([]uint8, 288), make([]uint8, 32)
	for i := range lits {
		switch {
		case i < 144:
			lits[i] = 8
		case i < 256:
			lits[i] = 9
		case i < 280:
			lits[i] = 7
		default:
			lits[i] = 8
		}
	}
	for i := range dists {
		dists[i] = 5
	}
	return lits, dists
}

// Messages of compress/flate at each level, whole and in pieces, keep their
// text.
func TestMessagesOfCompressFlate(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5, 16, 64, 100, 257, 258, 259, 1024, 511, 512, 513, 3, 4096, 0, 16, 33000, 3, 40000, 5}
	for name, text := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
			for _, takeover := range []bool{false, true} {
				s := flatepeer.NewDeflater(level, takeover)
				whole := NewDecompressor(DecompressorOptions{15, takeover})
				pieces := NewDecompressor(DecompressorOptions{15, takeover})
				at, sizes := 0, all
				if level != 1 && level != 6 {
					sizes = all[:len(all)-4] // no more than a window
				}
				for i, size := range sizes {
					if at+size > len(text) {
						at = 0
					}
					m := text[at : at+size]
					at += size
					p := s.Message(m)
					got, err := inflateWhole(whole, p, size)
					if err != nil || !bytes.Equal(got, m) {
						t.Fatalf("%s, level %d, takeover %t, message %d of %d bytes: got %d bytes, error %v", name, level, takeover, i, size, len(got), err)
					}
					n := 1 << (2 + rand.IntN(15))
					got, err = inflatePieces(pieces, p, size, upTo(n), upTo(n))
					if err != nil || !bytes.Equal(got, m) {
						t.Fatalf("%s, level %d, takeover %t, message %d of %d bytes in pieces of up to %d: got %d bytes, error %v", name, level, takeover, i, size, n, len(got), err)
					}
				}
			}
		}
	}
}

// compressFlate decompresses the message p after the text history with
// compress/flate. It appends a word in a stored block in place of the bytes
// that the sender removed: the message is right if the word is found.
func compressFlate(history, p []byte, limit int) ([]byte, bool) {
	if len(p) == 0 {
		return nil, true
	}
	a, ok := compressFlateWord(history, p, "word", limit)
	if !ok {
		return nil, false
	}
	b, ok := compressFlateWord(history, p, "another word", limit)
	return a, ok && bytes.Equal(a, b)
}

func compressFlateWord(history, p []byte, word string, limit int) ([]byte, bool) {
	last := []byte{1, 0, 0, 0xff, 0xff}
	tail := append([]byte{byte(len(word)), 0, ^byte(len(word)), 0xff}, word...)
	tail = append(tail, last...)
	in := bytes.NewReader(append(bytes.Clone(p), tail...))
	var out []byte
	for {
		known := append(bytes.Clone(history), out...)
		z := flate.NewReaderDict(in, known[len(known)-min(len(known), 1<<15):])
		part, err := io.ReadAll(io.LimitReader(z, int64(limit+len(word)-len(out)+1)))
		out = append(out, part...)
		if err != nil || len(out) > limit+len(word) {
			return nil, false
		}
		switch in.Len() {
		case len(tail): // a final block at the end of p
			return out, len(out) <= limit
		case 0, len(last):
			return bytes.TrimSuffix(out, []byte(word)), bytes.HasSuffix(out, []byte(word))
		}
	}
}
