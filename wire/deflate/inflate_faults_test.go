package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/flatepeer"
)

// fixedSymbols is a block with fixed codes, without its end. A negative symbol
// -n is the distance symbol n-1. Extra bits are 0.
func fixedSymbols(syms ...int) *testBits {
	w := new(testBits)
	w.put(1<<1, 3)
	w.fixed(syms...)
	return w
}

func (w *testBits) fixed(syms ...int) {
	lits, dists := fixedLits, fixedDists
	for _, s := range syms {
		if s < 0 {
			s = -s - 1
			w.code(dists, s)
			if s < 30 {
				w.put(0, int(distExtra[s]))
			}
			continue
		}
		w.code(lits, s)
		if s > 256 && s < 286 {
			w.put(0, int(lengthExtra[s-257]))
		}
	}
}

// end appends the end of a fixed block and the beginning of an empty stored
// one, and returns the message.
func (w *testBits) end() []byte {
	w.fixed(256)
	w.put(0, 3)
	return w.bytes()
}

// copyOf appends a copy of 3 bytes from distance.
func (w *testBits) copyOf(distance int) {
	lits, dists := fixedLits, fixedDists
	w.code(lits, 257)
	sym := 29
	for int(distBase[sym]) > distance {
		sym--
	}
	w.code(dists, sym)
	w.put(uint64(distance-int(distBase[sym])), int(distExtra[sym]))
}

// dynamicMessage is a message of a dynamic block with these codes. write
// appends its symbols but the end, whose code must exist.
func dynamicMessage(lits, dists []uint8, write func(w *testBits)) string {
	var w testBits
	w.dynamic(0, lits, dists)
	write(&w)
	if lits[256] > 0 {
		w.code(lits, 256)
	}
	w.put(0, 3)
	return hex.EncodeToString(w.bytes())
}

// lens returns n code lengths, which are 0 but for pairs of an index and a
// length.
func lens(n int, pairs ...int) []uint8 {
	l := make([]uint8, n)
	for i := 0; i < len(pairs); i += 2 {
		l[pairs[i]] = uint8(pairs[i+1])
	}
	return l
}

// codeLengthHeader is a message that ends after code lengths. cl is the code of
// code lengths; syms are its symbols, with their extra bits.
func codeLengthHeader(lits, dists int, cl []uint8, syms ...[2]int) string {
	var w testBits
	w.put(2<<1, 3)
	w.put(uint64(lits-257), 5)
	w.put(uint64(dists-1), 5)
	w.put(15, 4)
	for _, i := range codeOrder {
		w.put(uint64(cl[i]), 3)
	}
	for _, s := range syms {
		w.code(cl, s[0])
		w.put(uint64(s[1]), map[int]int{16: 2, 17: 3, 18: 7}[s[0]])
	}
	w.put(0, 64)
	return hex.EncodeToString(w.bytes())
}

// finalDynamicCut is a final block without its last bits, which are zeros.
var finalDynamicCut = func() []byte {
	var w testBits
	lits := lens(258, 'a', 3, 'b', 3, 'c', 3, 256, 1, 257, 3) // the end is 0
	w.dynamic(1, lits, lens(1))
	for ok := true; ok; ok = w.used%8 != 0 {
		w.code(lits, 'a')
	}
	return w.bytes()
}()

var refusedMessages = []struct {
	name, message, reason string
	offset                int64 // -1: not compared
}{
	{"reserved block type", "06", "block type 3", 0},
	{"reserved block type after a block", "f248cdc9c90718", "block type 3", 6},
	{"stored length without its complement", "000500fbff48656c6c6f00", "differs from its complement", 5},
	{"stored length cut", "000500", "truncated", 3},
	{"stored block cut", "000500faff4865", "truncated", 7},
	{"stored block whose rest is the removed tail", "000500faff48", "truncated", 6},
	{"the removed tail is missing with its block", "f248cdc9c907", "truncated", 6},
	{"the removed tail is present", "f248cdc9c907000000ffff", "truncated", 11},
	{"an empty message with the removed tail", "000000ffff", "truncated", 5},
	{"a byte after the end", "f248cdc9c9070000", "truncated", 8},
	{"bytes after the end", "f248cdc9c9070061626364", "differs from its complement", -1},
	{"a byte after a final block that begins another", "f348cdc9c9070002", "truncated", -1},
	{"a final block cut", "f348cdc9c907", "truncated", 6},
	{"a final dynamic block cut", hex.EncodeToString(finalDynamicCut), "truncated", -1},
	{"distance without a window", "f200110000", "a distance of 5 bytes exceeds the 1 bytes in the window", -1},
	{"a copy first", hex.EncodeToString(fixedSymbols(257, -1).end()), "a distance of 1 bytes exceeds the 0 bytes in the window", -1},
	{"288 literal codes", "fc00000000", "288 codes for literals and lengths exceed 286", 2},
	{"287 literal codes", "f400000000", "287 codes for literals and lengths exceed 286", 2},
	{"31 distance codes", "041e00000000", "31 codes for distances exceed 30", 2},
	{"32 distance codes", "041f00000000", "32 codes for distances exceed 30", 2},
	{"no code for code lengths", "04000000000000000000000000000000000000", "the code for code lengths is empty", -1},
	{"a single code for code lengths", codeLengthHeader(257, 1, lens(19, 18, 1)), "the code for code lengths is incomplete", -1},
	{"an incomplete code for code lengths", codeLengthHeader(257, 1, lens(19, 18, 1, 1, 2)), "the code for code lengths is incomplete", -1},
	{"an oversubscribed code for code lengths", codeLengthHeader(257, 1, lens(19, 18, 1, 1, 1, 0, 1)), "the code for code lengths is oversubscribed", -1},
	{"a repetition first", codeLengthHeader(257, 1, lens(19, 16, 1, 1, 1), [2]int{16, 0}), "the first code length repeats", -1},
	{"code lengths beyond the announced", codeLengthHeader(257, 1, lens(19, 18, 1, 1, 1), [2]int{18, 127}, [2]int{18, 127}), "more code lengths than the 258 announced", -1},
	{"one code length beyond the announced", codeLengthHeader(257, 1, lens(19, 18, 1, 1, 1), [2]int{18, 127}, [2]int{18, 110}), "more code lengths than the 258 announced", -1},
	{"a repetition beyond the announced", codeLengthHeader(257, 1, lens(19, 18, 1, 1, 2, 16, 2), [2]int{18, 127}, [2]int{18, 107}, [2]int{1, 0}, [2]int{16, 0}), "more code lengths than the 258 announced", -1},
	{"no code for the end of the block", dynamicMessage(lens(257, 'a', 1, 'b', 1), lens(1), func(*testBits) {}), "the end of the block has no code", -1},
	{"an oversubscribed literal code", dynamicMessage(lens(257, 'a', 1, 'b', 1, 256, 1), lens(1), func(*testBits) {}), "the code for literals and lengths is oversubscribed", -1},
	{"an incomplete literal code", dynamicMessage(lens(257, 'a', 2, 'b', 2, 256, 2), lens(1), func(*testBits) {}), "the code for literals and lengths is incomplete", -1},
	{"a single literal code of two bits", dynamicMessage(lens(257, 256, 2), lens(1), func(*testBits) {}), "the code for literals and lengths is incomplete", -1},
	{"an oversubscribed distance code", dynamicMessage(lens(257, 'a', 1, 256, 1), lens(3, 0, 1, 1, 1, 2, 1), func(*testBits) {}), "the code for distances is oversubscribed", -1},
	{"an incomplete distance code", dynamicMessage(lens(257, 'a', 1, 256, 1), lens(3, 0, 2, 1, 2, 2, 2), func(*testBits) {}), "the code for distances is incomplete", -1},
	{"a literal without a code", dynamicMessage(lens(257, 256, 1), lens(1), func(w *testBits) { w.put(1, 1) }), "a code stands for no literal or length", -1},
	{"a distance with no distance code", dynamicMessage(lens(258, 'a', 1, 256, 2, 257, 2), lens(1), func(w *testBits) {
		l := lens(258, 'a', 1, 256, 2, 257, 2)
		w.code(l, 'a')
		w.code(l, 257)
	}), "a code stands for no distance", -1},
	{"a distance without a code", dynamicMessage(lens(258, 'a', 1, 256, 2, 257, 2), lens(1, 0, 1), func(w *testBits) {
		l := lens(258, 'a', 1, 256, 2, 257, 2)
		w.code(l, 'a')
		w.code(l, 257)
		w.put(1, 1)
	}), "a code stands for no distance", -1},
	{"fixed symbol 286", hex.EncodeToString(fixedSymbols(286).end()), "a code stands for no literal or length", -1},
	{"fixed symbol 287", hex.EncodeToString(fixedSymbols(287).end()), "a code stands for no literal or length", -1},
	{"fixed distance 30", hex.EncodeToString(fixedSymbols('a', 257, -31).end()), "a code stands for no distance", -1},
	{"fixed distance 31", hex.EncodeToString(fixedSymbols('a', 257, -32).end()), "a code stands for no distance", -1},
}

// A message that is not DEFLATE is refused, however it is split, and its reason
// and offset are the same.
func TestRefusedMessages(t *testing.T) {
	for _, c := range refusedMessages {
		t.Run(c.name, func(t *testing.T) {
			p := unhex(t, c.message)
			var first *FormatError
			for split := range len(p) + 1 {
				d := NewDecompressor(DecompressorOptions{15, true})
				_, n, err := d.Append(nil, p[:split], false, 100)
				if err == nil {
					d.Park()
					_, _, err = d.Append(nil, p[split:], true, 100)
				}
				var e *FormatError
				if !errors.As(err, &e) || !strings.Contains(e.Reason, c.reason) {
					t.Fatalf("split at %d (%d consumed): got error %v, want %q", split, n, err, c.reason)
				}
				if c.offset >= 0 && e.Offset != c.offset {
					t.Errorf("split at %d: fault after %d bytes, want %d", split, e.Offset, c.offset)
				}
				if first == nil {
					first = e
				}
				if *e != *first {
					t.Errorf("split at %d: got %+v, split at 0: %+v", split, *e, *first)
				}
				if _, _, again := d.Append(nil, []byte{0}, true, 100); again != err {
					t.Errorf("the next call returns %v", again)
				}
				if d.Size() != 0 || d.Pending() {
					t.Errorf("%d bytes after an error, pending %t", d.Size(), d.Pending())
				}
			}
		})
	}
}

func TestErrorStatesReasonAndOffset(t *testing.T) {
	d := NewDecompressor(DecompressorOptions{9, true})
	_, _, err := d.Append(nil, []byte{0xf2, 0x00, 0x11, 0, 0}, true, 100)
	const want = "websocket: compressed message: a distance of 5 bytes exceeds the 1 bytes in the window (after 3 bytes)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWindowBitsOutOfRangePanic(t *testing.T) {
	for _, bits := range []int{-1, 0, 7, 16, 256 + 8} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d: no panic", bits)
				}
			}()
			NewDecompressor(DecompressorOptions{WindowBits: bits})
		}()
	}
}

// A single code is legal, of either alphabet.
func TestSingleCodes(t *testing.T) {
	lits := lens(258, 'a', 1, 256, 2, 257, 2)
	p := unhex(t, dynamicMessage(lits, lens(1, 0, 1), func(w *testBits) {
		w.code(lits, 'a')
		w.code(lits, 257)
		w.put(0, 1)
	})+dynamicMessage(lens(257, 256, 1), lens(1), func(*testBits) {}))
	// The first message ends with the beginning of a stored block: give it its
	// length.
	i := len(p) - len(unhex(t, dynamicMessage(lens(257, 256, 1), lens(1), func(*testBits) {})))
	p = append(append(bytes.Clone(p[:i]), 0, 0, 0xff, 0xff), p[i:]...)
	got, err := inflateWhole(NewDecompressor(DecompressorOptions{8, false}), p, 10)
	if err != nil || string(got) != "aaaa" {
		t.Errorf("got %q, error %v", got, err)
	}
}

// A message that is cut is refused, wherever it is, also if the removed bytes 00 00 ff ff would
// decode as its end.
func TestEveryCutIsRefused(t *testing.T) {
	for name, text := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6} {
			s := flatepeer.NewDeflater(level, false)
			for _, size := range []int{1, 5, 100, 900, 2000} {
				p := s.Message(text[:size])
				step := 1 + size/1000
				for n := 1; n < len(p); n += step {
					if n == 1 && p[0] == 0 {
						continue // a whole message, of no text
					}
					whole := NewDecompressor(DecompressorOptions{15, false})
					if _, err := inflateWhole(whole, p[:n], size); err == nil {
						t.Fatalf("%s, level %d: %d of %d bytes are accepted", name, level, n, len(p))
					}
					if size > 900 || n%11 != 0 {
						continue
					}
					pieces := NewDecompressor(DecompressorOptions{15, false})
					if _, err := inflatePieces(pieces, p[:n], size, upTo(13), always(size)); err == nil || err == errTooLong {
						t.Fatalf("%s, level %d: %d of %d bytes in pieces: error %v", name, level, n, len(p), err)
					}
				}
			}
		}
	}
}

// A message that is split in two, at each place, keeps its text and its
// window.
func TestEverySplit(t *testing.T) {
	for name, text := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 9} {
			s := flatepeer.NewDeflater(level, true)
			first, second := text[:700], text[200:1300]
			p1, p2 := s.Message(first), s.Message(second)
			for split := range len(p1) + 1 {
				d := NewDecompressor(DecompressorOptions{15, true})
				got, n, err := d.Append(nil, p1[:split], false, 1000)
				if err != nil || n != split {
					t.Fatalf("%s, level %d, split at %d: %d consumed, error %v", name, level, split, n, err)
				}
				d.Park()
				if _, err := inflateWhole(NewDecompressor(DecompressorOptions{8, false}), dynamicHello, 5); err != nil {
					t.Fatal(err) // it uses the tables
				}
				got, _, err = d.Append(got, p1[split:], true, 1000)
				if err != nil || !bytes.Equal(got, first) {
					t.Fatalf("%s, level %d, split at %d: got %q, error %v", name, level, split, got, err)
				}
				if got, err := inflateWhole(d, p2, 2000); err != nil || !bytes.Equal(got, second) {
					t.Fatalf("%s, level %d, after a split at %d: got %q, error %v", name, level, split, got, err)
				}
			}
		}
	}
}

// Pieces of each size from 1 to 13 keep the text.
func TestSmallPieces(t *testing.T) {
	for name, text := range corpus() {
		s := flatepeer.NewDeflater(6, true)
		p1, p2 := s.Message(text[:3000]), s.Message(text[1000:5000])
		for size := 1; size <= 13; size++ {
			d := NewDecompressor(DecompressorOptions{15, true})
			got, err := inflatePieces(d, p1, 3000, always(size), always(3000))
			if err != nil || !bytes.Equal(got, text[:3000]) {
				t.Fatalf("%s, pieces of %d: %d bytes, error %v", name, size, len(got), err)
			}
			got, err = inflatePieces(d, p2, 4000, always(size), always(size))
			if err != nil || !bytes.Equal(got, text[1000:5000]) {
				t.Fatalf("%s, pieces of %d: %d bytes, error %v", name, size, len(got), err)
			}
		}
	}
}

// A distance is refused if it exceeds the window, or the text so far; in one
// message, across messages and across pieces, by the fast loop and by symbol.
func TestDistanceAndWindow(t *testing.T) {
	const many = 1<<15 + 100
	for bits := 8; bits <= 15; bits++ {
		window := 1 << bits
		for _, known := range []int{1, 2, 7, 8, 100, window - 1, window, window + 1, many} {
			for _, distance := range []int{1, 2, 3, known - 1, known, known + 1, window - 1, window, window + 1, window + 100, 1<<15 - 1, 1 << 15} {
				if distance < 1 || distance > 1<<15 {
					continue
				}
				want := distance <= min(known, window)
				for _, before := range []int{0, 1, known / 2, known - 1, known} { // bytes of the earlier message
					if known > 1000 && before != 0 && before != known/2 && bits != 12 {
						continue
					}
					text := make([]byte, known)
					for i := range text {
						text[i] = byte(i * 7 >> 3)
					}
					p := storedMessage(text[before:])
					w := testBits{out: p[:len(p)-1]}
					w.used = 8 * uint(len(w.out))
					w.put(1<<1, 3)
					w.copyOf(distance)
					p = w.end()
					for _, last := range []int{0, 1, 2, 3} { // bytes of the last piece
						d := NewDecompressor(DecompressorOptions{bits, true})
						if _, err := inflateWhole(d, storedMessage(text[:before]), many); err != nil {
							t.Fatal(err)
						}
						got, n, err := d.Append(nil, p[:len(p)-last], last == 0, 2*many)
						if err == nil && last > 0 {
							got, _, err = d.Append(got, p[n:], true, 2*many)
						}
						if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "exceeds the") {
							t.Fatalf("window %d, %d known, %d of them before, distance %d: error %v", window, known, before, distance, err)
						}
						if err != nil {
							continue
						}
						all := append(bytes.Clone(text), 0, 0, 0)
						for i := range 3 {
							all[known+i] = all[known+i-distance]
						}
						if !bytes.Equal(got, all[before:]) {
							t.Fatalf("window %d, %d known, %d of them before, distance %d: wrong text", window, known, before, distance)
						}
					}
				}
			}
		}
	}
}

// The limit is exact: text up to it is accepted, more is pending. No more
// memory is used than twice the limit.
func TestLimit(t *testing.T) {
	for name, text := range corpus() {
		for _, level := range []int{0, 1, 6} {
			const size = 20000
			p := flatepeer.NewDeflater(level, false).Message(text[:size])
			for _, limit := range []int{0, 1, 2, 3, 257, 258, 259, 1000, size - 1, size, size + 1} {
				d := NewDecompressor(DecompressorOptions{15, false})
				out, n, err := d.Append(nil, p, true, limit)
				if err != nil || !bytes.Equal(out, text[:min(limit, size)]) {
					t.Fatalf("%s, level %d, limit %d: %d bytes, error %v", name, level, limit, len(out), err)
				}
				if d.Pending() != (limit < size) {
					t.Errorf("%s, level %d, limit %d: pending %t", name, level, limit, d.Pending())
				}
				if cap(out) > 2*limit+1024 {
					t.Errorf("%s, level %d, limit %d: %d bytes allocated", name, level, limit, cap(out))
				}
				if !d.Pending() {
					continue
				}
				rest, _, err := d.Append(nil, p[n:], true, size)
				if err != nil || d.Pending() || !bytes.Equal(rest, text[limit:size]) {
					t.Errorf("%s, level %d, limit %d: the rest is %d bytes, error %v", name, level, limit, len(rest), err)
				}
			}
		}
	}
}

// Text is appended: dst is kept, and its capacity used before more is
// allocated.
func TestAppendKeepsDst(t *testing.T) {
	text := corpus()["json"][:1000]
	p := flatepeer.NewDeflater(6, false).Message(text)
	for _, free := range []int{0, 1, 15, 16, 500, 983, 984, 999, 1000, 1001, 1300} {
		d := NewDecompressor(DecompressorOptions{15, false})
		buf := append(make([]byte, 0, 5+free), "start"...)
		out, _, err := d.Append(buf, p, true, 1000)
		if err != nil || string(out) != "start"+string(text) {
			t.Fatalf("%d free bytes: got %q, error %v", free, out, err)
		}
		if free >= 1000 && &out[0] != &buf[0] {
			t.Errorf("%d free bytes: allocated", free)
		}
	}
}

// The text of one connection is not in the window of another, and a message
// without takeover has no window.
func TestWindowsAreSeparate(t *testing.T) {
	hello, again := unhex(t, "f248cdc9c90700"), unhex(t, "f200110000")
	for _, takeover := range []bool{false, true} {
		for range 20 {
			a := NewDecompressor(DecompressorOptions{15, takeover})
			if _, err := inflatePieces(a, hello, 10, always(2), always(10)); err != nil {
				t.Fatal(err)
			}
			for _, d := range []*Decompressor{NewDecompressor(DecompressorOptions{15, takeover}), a} {
				_, err := inflatePieces(d, again, 10, always(2), always(10))
				if ok := takeover && d == a; (err == nil) != ok {
					t.Fatalf("takeover %t, same connection %t: error %v", takeover, d == a, err)
				}
			}
		}
	}
}

// A Decompressor is small, and holds the negotiated window alone.
func TestSize(t *testing.T) {
	if n := reflect.TypeFor[Decompressor]().Size(); n > 48 { // a size class of the runtime
		t.Errorf("%d bytes before the first message", n)
	}
	for name, c := range map[string][2]int{
		"parked": {parkedSize, int(reflect.TypeFor[parkedMessage]().Size())},
		"tables": {tablesSize, int(reflect.TypeFor[inflateTables]().Size())},
	} {
		if c[0] < c[1] || c[0] > c[1]+64 {
			t.Errorf("%s: counted as %d bytes, are %d", name, c[0], c[1])
		}
	}
	text := corpus()["json"]
	for bits := 8; bits <= 15; bits++ {
		// Stored blocks have no distances.
		s := flatepeer.NewDeflater(flate.NoCompression, true)
		d := NewDecompressor(DecompressorOptions{bits, true})
		for i := range 5 {
			if d.Size() > max(minRing, 2*1000*i) {
				t.Errorf("%d bits: %d bytes after %d of text", bits, d.Size(), 1000*i)
			}
			if _, err := inflateWhole(d, s.Message(text[:1000]), 1000); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if _, err := inflateWhole(d, s.Message(text[:40000]), 40000); err != nil {
				t.Fatal(err)
			}
		}
		if want := 1 << bits; d.Size() != want {
			t.Errorf("%d bits: %d bytes with a full window, want %d", bits, d.Size(), want)
		}
	}
	p := flatepeer.NewDeflater(6, false).Message(text[:3000])
	b := NewDecompressor(DecompressorOptions{15, true})
	if _, _, err := b.Append(nil, p[:500], false, 3000); err != nil || b.Size() < tablesSize || b.Size() > 14<<10+8192 {
		t.Errorf("%d bytes in a message that is not parked, error %v", b.Size(), err)
	}
	d := NewDecompressor(DecompressorOptions{15, false})
	for n := range p {
		if _, _, err := d.Append(nil, p[n:n+1], n == len(p)-1, 3000); err != nil {
			t.Fatal(err)
		}
		d.Park()
		if d.Size() > 4096+parkedSize {
			t.Fatalf("%d bytes parked after %d bytes of a message", d.Size(), n)
		}
	}
	if d.Size() != 0 {
		t.Errorf("%d bytes after the message", d.Size())
	}
}

// A change of a byte is judged as compress/flate does.
func TestCorruptionIsJudgedLikeCompressFlate(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for name, text := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, 1, 6} {
			p := flatepeer.NewDeflater(level, false).Message(text[:400])
			for at := r.IntN(3); at < len(p); at += 1 + r.IntN(4) {
				q := bytes.Clone(p)
				q[at] ^= byte(1 + r.IntN(255))
				if diff := inflateDiff(nil, q, r); diff != "" {
					t.Errorf("%s, level %d, byte %d changed to %#x: %s", name, level, at, q[at], diff)
				}
			}
		}
	}
}

// inflateDiff describes the difference between Decompressor and compress/flate
// for the message p after the text history, and between one piece and several.
func inflateDiff(history, p []byte, r *rand.Rand) string {
	const limit = 1 << 17
	want, ok := compressFlate(history, p, limit)
	first := storedMessage(history)
	var got [3][]byte
	var err [3]error
	for i := range got {
		d := NewDecompressor(DecompressorOptions{15, true})
		if _, err := inflateWhole(d, first, limit); err != nil {
			return err.Error()
		}
		switch n := 1 << r.IntN(12); i {
		case 0:
			got[i], err[i] = inflateWhole(d, p, limit)
		case 1:
			got[i], err[i] = inflatePieces(d, p, limit, func() int { return 1 + r.IntN(n) }, always(limit))
		default:
			got[i], err[i] = inflatePieces(d, p, limit, func() int { return 1 + r.IntN(n) }, func() int { return r.IntN(2 * n) })
		}
		switch {
		case ok != (err[i] == nil):
			return fmt.Sprintf("way %d: error %v, compress/flate accepts: %t", i, err[i], ok)
		case ok && !bytes.Equal(got[i], want):
			return fmt.Sprintf("way %d: got %d bytes, compress/flate %d", i, len(got[i]), len(want))
		case err[i] != nil && err[0] != errTooLong && err[i] != errTooLong && err[i].Error() != err[0].Error():
			return fmt.Sprintf("way %d: error %v, way 0: %v", i, err[i], err[0])
		}
	}
	return ""
}

// storedMessage is text in stored blocks.
func storedMessage(text []byte) (p []byte) {
	for len(text) > 0 {
		n := min(len(text), 65535)
		p = append(p, 0, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		p = append(p, text[:n]...)
		text = text[n:]
	}
	return append(p, 0)
}

func FuzzInflate(f *testing.F) {
	for _, m := range legalMessages {
		for _, p := range strings.Split(m.messages, ",") {
			f.Add([]byte("Hello"), unhex(f, p), uint64(1))
		}
	}
	for _, m := range refusedMessages {
		f.Add([]byte{}, unhex(f, m.message), uint64(2))
	}
	for _, text := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, 1, 9} {
			f.Add(text[:50], flatepeer.NewDeflater(level, false).Message(text[:300]), uint64(3))
		}
	}
	f.Fuzz(func(t *testing.T, history, p []byte, seed uint64) {
		if diff := inflateDiff(history[:min(len(history), 1<<15)], p, rand.New(rand.NewPCG(seed, 0))); diff != "" {
			t.Error(diff)
		}
	})
}
