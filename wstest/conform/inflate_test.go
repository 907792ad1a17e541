package conform

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// RFC 7692, Section 7.2.3, and other legal payloads (7692-7.2.1-c, 7692-7.2.3-a, 7692-7.2.2-b).
func TestPayloadsOfTheRFCInflate(t *testing.T) {
	for _, c := range []struct {
		name     string
		takeover bool
		payloads string
		want     string
	}{
		{"7.2.3.1: one block", false, "f248cdc9c90700", "Hello"},
		{"7.2.3.2: the second refers to the first", true, "f248cdc9c90700 f200110000", "Hello Hello"},
		{"7.2.3.2: without takeover", false, "f248cdc9c90700 f248cdc9c90700", "Hello Hello"},
		{"7.2.3.3: a block without compression", false, "000500faff48656c6c6f00", "Hello"},
		{"7.2.3.4: a final block", false, "f348cdc9c9070000", "Hello"},
		{"a final block, and nothing of an empty one", false, "f348cdc9c90700", "Hello"},
		{"an empty final block at the end", false, "f248cdc9c90704", "Hello"},
		{"data after a final block", false, "f348cdc9c90700f248cdc9c90700", "HelloHello"},
		{"the window outlives a final block", true, "f348cdc9c9070000 f200110000", "Hello Hello"},
		{"7.2.3.5: two blocks", false, "f24805000000ffffcac9c90700", "Hello"},
		{"7.2.3.6: an empty message", false, "00", ""},
		{"an empty message does not touch the window", true, "f248cdc9c90700 00 f200110000", "Hello  Hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newInflater(15, c.takeover)
			var got []string
			for _, p := range strings.Fields(c.payloads) {
				m, err := f.message(nil, unhex(t, p), 100)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(m))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

// 7692-7.2.2-d; and RFC 1951, Sections 3.2.3 to 3.2.7.
func TestPayloadsThatAreNotDeflate(t *testing.T) {
	for _, c := range []struct {
		name, payload, why string
		at                 int
	}{
		{"no bytes", "", "no bytes at all", 0},
		{"reserved block type", "06", "block type 3", 0},
		{"reserved block type after a block", "f248cdc9c90718", "block type 3", 6},
		{"stored length", "000500fbff48656c6c6f00", "do not agree", 1},
		{"stored block cut", "000500faff4865", "truncated: a stored block of 5 bytes, where 2 are left", 5},
		{"stored block cut by as much as is appended", "000500faff48", "truncated", 5},
		{"no empty block", "f248cdc9c907", "truncated", 6},
		{"distance without a window", "f200110000", "distance too far back: 5 bytes, where the window holds 1", 3},
		{"too many length codes", "fc00000000", "codes for 288 lengths or literals", 2},
		{"no code at all", "04000000000000000000000000000000000000", "empty code for code lengths", 3},
		{"all code lengths of one bit", "04c0" + "24499224499224", "oversubscribed code for code lengths", 0},
		{"fixed code of no meaning", hex.EncodeToString(fixedSymbols(286)), "stands for no length or literal", 0},
		{"fixed distance of no meaning", hex.EncodeToString(fixedSymbols('a', 257, -30)), "stands for no distance", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newInflater(15, true).message(nil, unhex(t, c.payload), 100)
			var e *inflateError
			if !errors.As(err, &e) || !strings.Contains(e.What, c.why) {
				t.Fatalf("got error %v, want %q", err, c.why)
			}
			if c.at > 0 && e.At != c.at {
				t.Errorf("seen at byte %d, want %d", e.At, c.at)
			}
		})
	}
}

func TestErrorOfAPayloadSaysWhere(t *testing.T) {
	_, err := newInflater(9, true).message(nil, []byte{0xf2, 0x00, 0x11, 0, 0}, 100)
	const want = "websocket: compressed payload: distance too far back: 5 bytes, where the window holds 1, after 3 bytes"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// fixedSymbols is the beginning of a block with fixed codes; negative symbols are distances, -30 for 30.
func fixedSymbols(syms ...int) []byte {
	var w bitWriter
	w.put(1<<1, 3)
	for _, s := range syms {
		w.fixed(s)
	}
	return append(w.flush(), 0, 0, 0)
}

// fixed writes a symbol in its fixed code (RFC 1951, Section 3.2.6), the first bit of which is the highest.
func (w *bitWriter) fixed(sym int) {
	code, n := uint16(0), uint(0)
	switch {
	case sym < 0:
		code, n = uint16(-sym), 5
	case sym < 144:
		code, n = 0x30+uint16(sym), 8
	case sym < 256:
		code, n = 0x190+uint16(sym)-144, 9
	case sym < 280:
		code, n = uint16(sym)-256, 7
	default:
		code, n = 0xc0+uint16(sym)-280, 8
	}
	w.put(uint64(bits.Reverse16(code)>>(16-n)), n)
}

// copyThree writes that three bytes are copied from this distance.
func (w *bitWriter) copyThree(distance int) {
	w.fixed(endOfBlock + 1)
	sym := distSymbols - 1
	for distanceCodes[sym].least > distance {
		sym--
	}
	w.put(uint64(bits.Reverse16(uint16(sym))>>11), 5)
	w.put(uint64(distance-distanceCodes[sym].least), distanceCodes[sym].extra)
}

// 7692-7.2.2-e: the judge does not inflate more than it asked for.
func TestInflatedMessageIsBounded(t *testing.T) {
	p := newDeflater(15, false).message(nil, make([]byte, 1<<20))
	for _, max := range []int{0, 1, 1000, 1<<20 - 1} {
		f := newInflater(15, false)
		if m, err := f.message(nil, p, max); err == nil || len(m) > 0 || !strings.Contains(err.Error(), fmt.Sprintf("longer than the %d bytes", max)) {
			t.Errorf("at most %d: got %d bytes, error %v", max, len(m), err)
		}
		if cap(f.out) > 2*max+1<<13 {
			t.Errorf("at most %d: a buffer of %d bytes", max, cap(f.out))
		}
	}
	m, err := newInflater(15, false).message([]byte("x"), p, 1<<20)
	if err != nil || len(m) != 1<<20+1 {
		t.Errorf("got %d bytes, error %v", len(m), err)
	}
}

// A distance of up to 2^w bytes is right with a window of w bits, one of more is not (7692-7.1.2.2-d, 7692-7.1.2.1-a).
func TestDistanceOutsideTheWindow(t *testing.T) {
	const n = 1<<15 + 100
	for windowBits := 8; windowBits <= 15; windowBits++ {
		window := 1 << windowBits
		for _, distance := range []int{1, window - 1, window, window + 1, window + 100, 1<<15 - 1, 1 << 15} {
			if distance > 1<<15 {
				continue // there is no way to say so
			}
			for _, inOne := range []bool{false, true} {
				f := newInflater(windowBits, true)
				var w bitWriter
				w.put(1<<1, 3)
				for range n {
					w.fixed('a')
				}
				if !inOne {
					w.fixed(endOfBlock)
					w.put(0, 3)
					if _, err := f.message(nil, w.flush(), n); err != nil {
						t.Fatal(err)
					}
					w = bitWriter{}
					w.put(1<<1, 3)
				}
				w.copyThree(distance)
				w.fixed(endOfBlock)
				w.put(0, 3)
				_, err := f.message(nil, w.flush(), 2*n)
				if far := err != nil && strings.Contains(err.Error(), "distance too far back"); far != (distance > window) || !far && err != nil {
					t.Errorf("distance %d, window %d, in one message %t: error %v", distance, window, inOne, err)
				}
			}
		}
	}
}

// The output of compress/flate is read, at each level and with each kind of data.
func TestInflateReadsCompressFlate(t *testing.T) {
	for name, sample := range fewerSamples() {
		for _, level := range []int{flate.HuffmanOnly, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression, flate.NoCompression} {
			for _, takeover := range []bool{false, true} {
				f := newInflater(15, takeover)
				var buf bytes.Buffer
				z, err := flate.NewWriter(&buf, level)
				if err != nil {
					t.Fatal(err)
				}
				at := 0
				for _, size := range messageSizes {
					if size > largestMessage && !*Full {
						continue
					}
					m := cut(sample, &at, size)
					buf.Reset()
					if !takeover {
						z.Reset(&buf)
					}
					if _, err := z.Write(m); err != nil {
						t.Fatal(err)
					}
					if err := z.Flush(); err != nil {
						t.Fatal(err)
					}
					got, err := f.message(nil, bytes.TrimSuffix(buf.Bytes(), []byte{0, 0, 0xff, 0xff}), len(m))
					if err != nil || !bytes.Equal(got, m) {
						t.Fatalf("%s, level %d, takeover %t, %d bytes: got %d bytes, error %v", name, level, takeover, size, len(got), err)
					}
				}
			}
		}
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for name, sample := range samples() {
		for _, size := range []int{1, 5, 100, 3000} {
			p := newDeflater(15, false).message(nil, sample[:size])
			for n := range p {
				if n == 1 && p[0] == 0 {
					continue // a whole message, though another
				}
				if _, err := newInflater(15, false).message(nil, p[:n], size); err == nil {
					t.Errorf("%s: %d bytes of %d are accepted", name, n, len(p))
				}
			}
		}
	}
}

// Every change of a byte is judged as compress/flate does.
func TestEveryCorruptionIsJudgedLikeCompressFlate(t *testing.T) {
	for name, sample := range samples() {
		p := newDeflater(15, false).message(nil, sample[:2000])
		r := rand.New(rand.NewPCG(2, 2))
		for at := range p {
			q := slices.Clone(p)
			q[at] ^= byte(1 + r.IntN(255))
			if diff := inflateDiff(nil, q); diff != "" {
				t.Errorf("%s, byte %d changed to %#x: %s", name, at, q[at], diff)
			}
		}
	}
}

func FuzzInflate(f *testing.F) {
	for _, p := range []string{
		"f248cdc9c90700", "f200110000", "000500faff48656c6c6f00", "f348cdc9c9070000", "f348cdc9c90700",
		"f24805000000ffffcac9c90700", "00", "f348cdc9c90700f248cdc9c90700", "f248cdc9c90704",
	} {
		b, err := hex.DecodeString(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte("Hello"), b)
	}
	for _, s := range samples() {
		f.Add([]byte{}, newDeflater(15, false).message(nil, s[:300]))
	}
	f.Fuzz(func(t *testing.T, window, p []byte) {
		window = window[:min(len(window), 1<<15)]
		if diff := inflateDiff(window, p); diff != "" {
			t.Error(diff)
		}
	})
}

// inflateDiff describes the difference between the judge's inflater and compress/flate for the message p after the message window.
func inflateDiff(window, p []byte) string {
	const max = 1 << 17
	want, ok := inflateByFlate(window, p, max)
	f := newInflater(15, true)
	if len(window) > 0 {
		if _, err := f.message(nil, newDeflater(15, false).message(nil, window), max); err != nil {
			return err.Error()
		}
	}
	got, err := f.message(nil, p, max)
	switch {
	case ok != (err == nil):
		return fmt.Sprintf("error %v, compress/flate accepts: %t", err, ok)
	case err == nil && !bytes.Equal(got, want):
		return fmt.Sprintf("got %d bytes, compress/flate %d", len(got), len(want))
	}
	return ""
}

// inflateByFlate is the naive decoder: it appends a word in a stored block in place of the bytes that senders remove. The message is good if
// the word is found.
func inflateByFlate(window, p []byte, max int) ([]byte, bool) {
	if len(p) == 0 {
		return nil, false
	}
	a, ok := inflateWithWord(window, p, "word", max)
	if !ok {
		return nil, false
	}
	b, ok := inflateWithWord(window, p, "another word", max)
	return a, ok && bytes.Equal(a, b)
}

func inflateWithWord(window, p []byte, word string, max int) ([]byte, bool) {
	lastBlock := []byte{1, 0, 0, 0xff, 0xff}
	tail := append([]byte{byte(len(word)), 0, ^byte(len(word)), 0xff}, word...)
	tail = append(tail, lastBlock...)
	in := bytes.NewReader(append(slices.Clone(p), tail...))
	var out []byte
	for {
		history := append(slices.Clone(window), out...)
		z := flate.NewReaderDict(in, history[len(history)-min(len(history), 1<<15):])
		part, err := io.ReadAll(io.LimitReader(z, int64(max+len(word)-len(out)+1)))
		out = append(out, part...)
		if err != nil || len(out) > max+len(word) {
			return nil, false
		}
		switch in.Len() {
		case len(tail): // a final block at the end of p
			return out, len(out) <= max
		case 0, len(lastBlock):
			return bytes.TrimSuffix(out, []byte(word)), bytes.HasSuffix(out, []byte(word))
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// largestMessage is the length in bytes up to which messageSizes are sent without
// Full: twice the largest window.
const largestMessage = 1 << 16

// messageSizes are the lengths in bytes of messages that tests send one after the other.
var messageSizes = []int{0, 1, 2, 3, 4, 5, 16, 64, 100, 257, 258, 259, 1024, 511, 512, 513, 4096, 32767, 32768, 32769, 65536, 3, 131072, 0, 70000, 16}

// cut returns the next size bytes of data, from its beginning again if there are not enough.
func cut(data []byte, at *int, size int) []byte {
	if *at+size > len(data) {
		*at = 0
	}
	*at += size
	return data[*at-size : *at]
}

// fewerSamples returns samples, and without -full those alone that compress in one of the ways each.
func fewerSamples() map[string][]byte {
	all := samples()
	if !*Full {
		for _, name := range []string{"html", "bitmap", "zeros", "few"} {
			delete(all, name)
		}
	}
	return all
}

// samples returns data of several kinds, 256 KiB each.
func samples() map[string][]byte {
	const size = 1 << 18
	r := rand.New(rand.NewPCG(3, 3))
	few := noise(r, size)
	skewed := noise(r, size)
	for i := range few {
		few[i] &= 3
		for n := skewed[i]; n&1 == 1; n >>= 1 {
			skewed[i] += 13 // ever rarer symbols: long codes
		}
	}
	runs := make([]byte, 0, size)
	for len(runs) < size {
		runs = append(runs, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(600))...)
	}
	mixed := slices.Concat(jsonData.bytes()[:size/4], noise(r, size/4), bitmapData.bytes()[:size/4], make([]byte, size/4))
	return map[string][]byte{
		"json":   slices.Concat(jsonData.bytes(), jsonData.bytes())[:size],
		"html":   htmlData.bytes()[:size],
		"bitmap": bitmapData.bytes()[:size],
		"noise":  noise(r, size),
		"few":    few,
		"skewed": skewed,
		"runs":   runs[:size],
		"zeros":  make([]byte, size),
		"mixed":  mixed,
	}
}

// bitWriter appends values of some bits each to out, the lowest bit first.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint // of bits; less than 32 between calls
}

// put appends the n low bits of v, 32 at most. The others are zero.
func (w *bitWriter) put(v uint64, n uint) {
	w.bits |= v << (w.n & 63)
	w.n += n
	if w.n >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
	}
}

// flush appends zeros up to the next byte and returns out.
func (w *bitWriter) flush() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out = append(w.out, byte(w.bits))
		w.bits >>= 8
	}
	return w.out
}
