package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/fibersock/fibersock/internal/test/flatepeer"
)

// benchStreams returns streams of compressed messages of one kind each.
func benchStreams(b *testing.B) []benchStream {
	r := rand.New(rand.NewPCG(1, 1))
	ticks := make([][]byte, 64)
	for i := range ticks {
		ticks[i] = fmt.Appendf(nil, `{"type":"ticker","sequence":%d,"product_id":"BTC-USD","price":"%d.%02d","open_24h":"67021.5","volume_24h":"%d.%08d","best_bid":"%d.%02d","best_ask":"%d.%02d","side":"%s","time":"2026-11-29T23:%02d:%02d.%06dZ"}`,
			1_000_000_000+i*7+r.IntN(7), 67000+r.IntN(400), r.IntN(100), 9000+r.IntN(100), r.IntN(1e8), 67000+r.IntN(400), r.IntN(100), 67000+r.IntN(400), r.IntN(100), []string{"buy", "sell"}[r.IntN(2)], i/60, i%60, r.IntN(1e6))
	}
	api := make([][]byte, 64)
	for i := range api {
		m := fmt.Appendf(nil, `{"id":%d,"user":{"name":"%x","email":"%x@example.com","verified":%t},"items":[`, i, r.Uint64(), r.Uint32(), r.IntN(2) == 0)
		for j := 0; len(m) < 950; j++ {
			m = fmt.Appendf(m, `{"sku":"%08x","qty":%d,"price":%d.%02d,"tags":["%x","new"]},`, r.Uint32(), r.IntN(20), r.IntN(500), r.IntN(100), r.Uint32N(1<<16))
		}
		api[i] = append(m, "]}"...)
	}
	text := corpus()
	var web [][]byte
	for i := range 4 {
		web = append(web, text["json"][i*31000:][:31000])
	}
	return []benchStream{
		newBenchStream(b, "ticks/none", 6, false, ticks),
		newBenchStream(b, "ticks/takeover", 6, true, ticks),
		newBenchStream(b, "ticks/fixed", 1, false, ticks),
		newBenchStream(b, "api/none", 6, false, api),
		newBenchStream(b, "api/takeover", 6, true, api),
		newBenchStream(b, "json31K/none", 6, false, web),
		newBenchStream(b, "web31K/none", 6, false, webPages(31000)),
		newBenchStream(b, "noise/none", 6, false, [][]byte{text["noise"][:1024]}),
		newBenchStream(b, "skewed/none", 6, false, [][]byte{text["skewed"][:31000]}),
		newBenchStream(b, "zeros/none", 6, false, [][]byte{text["zeros"][:31000]}),
	}
}

// webPages returns texts like HTML of size bytes.
func webPages(size int) (pages [][]byte) {
	r := rand.New(rand.NewPCG(5, 5))
	letters := "etaoinshrdlucmfwypvbgkjqxz"
	words := make([]string, 800)
	for i := range words {
		var w []byte
		for range 2 + r.IntN(8) {
			w = append(w, letters[min(r.IntN(26), r.IntN(26))])
		}
		words[i] = string(w)
	}
	word := func() string { return words[min(r.IntN(800), r.IntN(800))] }
	for range 4 {
		var p []byte
		for len(p) < size {
			switch r.IntN(6) {
			case 0:
				p = fmt.Appendf(p, "<div class=\"%s-%s\"><a href=\"/%s/%d\">%s</a></div>\n", word(), word(), word(), r.IntN(10000), word())
			case 1:
				p = fmt.Appendf(p, "<li id=\"%s%d\">%s %s %s</li>\n", word(), r.IntN(100), word(), word(), word())
			default:
				p = append(p, "<p>"...)
				for range 5 + r.IntN(20) {
					p = fmt.Appendf(p, "%s ", word())
				}
				p = append(p, "</p>\n"...)
			}
		}
		pages = append(pages, p[:size])
	}
	return pages
}

type benchStream struct {
	name     string
	takeover bool
	texts    [][]byte
	messages [][]byte
	bytes    int
}

func newBenchStream(b *testing.B, name string, level int, takeover bool, texts [][]byte) benchStream {
	s := flatepeer.NewDeflater(level, takeover)
	st := benchStream{name: name, takeover: takeover, texts: texts}
	for _, m := range texts {
		st.messages = append(st.messages, s.Message(m))
		st.bytes += len(m)
	}
	return st
}

// BenchmarkInflate measures a message of each stream. A stream with takeover is
// decompressed from its first message again when it ends.
func BenchmarkInflate(b *testing.B) {
	for _, s := range benchStreams(b) {
		b.Run(s.name, func(b *testing.B) {
			d := NewDecompressor(DecompressorOptions{15, s.takeover})
			b.ReportAllocs()
			b.SetBytes(int64(s.bytes / len(s.texts)))
			dst := make([]byte, 0, 64<<10)
			i := 0
			for b.Loop() {
				if i == len(s.messages) {
					i = 0
				}
				if i == 0 {
					d.window.n, d.window.at = 0, 0
				}
				out, _, err := d.Append(dst, s.messages[i], true, 64<<10)
				if err != nil || len(out) != len(s.texts[i]) {
					b.Fatal(len(out), err)
				}
				i++
			}
		})
	}
}

// BenchmarkInflateCompressFlate measures the same with a pooled reader of
// compress/flate, which is reset with the last text as its dictionary.
func BenchmarkInflateCompressFlate(b *testing.B) {
	for _, s := range benchStreams(b) {
		b.Run(s.name, func(b *testing.B) {
			var in bytes.Reader
			tail := bytes.NewReader([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff})
			r := &twoReaders{&in, tail}
			z := flate.NewReader(r)
			b.ReportAllocs()
			b.SetBytes(int64(s.bytes / len(s.texts)))
			dst := make([]byte, 64<<10)
			var window []byte
			i := 0
			for b.Loop() {
				if i == len(s.messages) {
					i = 0
					window = window[:0]
				}
				in.Reset(s.messages[i])
				tail.Seek(0, io.SeekStart)
				z.(flate.Resetter).Reset(r, window)
				n, err := io.ReadFull(z, dst)
				if err != io.ErrUnexpectedEOF || n != len(s.texts[i]) {
					b.Fatal(n, err)
				}
				if s.takeover {
					window = append(window, dst[:n]...)
					if len(window) > 64<<10 {
						window = append(window[:0], window[len(window)-32<<10:]...)
					}
				}
				i++
			}
		})
	}
}

type twoReaders struct{ a, b *bytes.Reader }

func (r *twoReaders) ReadByte() (byte, error) {
	if r.a.Len() > 0 {
		return r.a.ReadByte()
	}
	return r.b.ReadByte()
}

func (r *twoReaders) Read(p []byte) (int, error) {
	if r.a.Len() > 0 {
		return r.a.Read(p)
	}
	return r.b.Read(p)
}

// BenchmarkInflateHostile measures messages that cost the most for their
// compressed bytes, which SetBytes counts.
func BenchmarkInflateHostile(b *testing.B) {
	for _, m := range hostileMessages(64 << 10) {
		b.Run(m.name, func(b *testing.B) {
			d := NewDecompressor(DecompressorOptions{15, false})
			b.ReportAllocs()
			b.SetBytes(int64(len(m.p)))
			dst := make([]byte, 0, m.text)
			for b.Loop() {
				rest := m.p
				for {
					piece := rest[:min(m.piece, len(rest))]
					rest = rest[len(piece):]
					out, _, err := d.Append(dst, piece, len(rest) == 0, m.text)
					if err != nil || d.Pending() {
						b.Fatal(len(out), err)
					}
					if m.park {
						d.Park()
					}
					if len(rest) == 0 {
						break
					}
				}
			}
		})
	}
}

type hostileMessage struct {
	name  string
	p     []byte
	text  int // bytes of text, or more
	piece int
	park  bool
}

// hostileMessages returns messages of about size compressed bytes.
func hostileMessages(size int) []hostileMessage {
	repeat := func(write func(w *testBits)) []byte {
		var w testBits
		for len(w.out) < size {
			write(&w)
		}
		w.put(0, 3)
		return w.out
	}
	all := size
	ms := []hostileMessage{
		{"empty stored", repeat(func(w *testBits) { w.put(0, 3); w.align(); w.put(0xffff<<16, 32) }), 0, all, false},
		{"empty fixed", repeat(func(w *testBits) { w.put(2, 3); w.put(0, 7) }), 0, all, false},
		{"empty final", repeat(func(w *testBits) { w.put(3, 3); w.put(0, 7); w.align() }), 0, all, false},
		{"empty dynamic", repeat(func(w *testBits) {
			w.smallHeader(257, [2]int{18, 127}, [2]int{18, 107}, [2]int{1, 0}, [2]int{0, 0})
			w.put(0, 1)
		}), 0, all, false},
		{"long codes", repeat(func(w *testBits) {
			lits, dists := make([]uint8, 286), make([]uint8, 30)
			for i := range 14 {
				lits[i], dists[i] = uint8(i+1), uint8(i+1)
			}
			lits[256], lits[257], dists[14], dists[15] = 15, 15, 15, 15
			w.dynamic(0, lits, dists)
			w.code(lits, 256)
		}), 0, all, false},
		{"all codes", repeat(func(w *testBits) {
			lits, dists := make([]uint8, 286), make([]uint8, 30)
			for i := range lits {
				lits[i] = 8
				if i >= 226 {
					lits[i] = 9
				}
			}
			for i := range dists {
				dists[i] = 5
				if i < 2 {
					dists[i] = 4
				}
			}
			w.dynamic(0, lits, dists)
			w.code(lits, 256)
		}), 0, all, false},
	}
	var bomb testBits
	lits := lens(286, 0, 2, 256, 2, 285, 1)
	bomb.dynamic(0, lits, lens(1, 0, 1))
	bomb.code(lits, 0)
	n := 1
	for len(bomb.out) < size {
		bomb.code(lits, 285)
		bomb.put(0, 1)
		n += 258
	}
	bomb.code(lits, 256)
	bomb.put(0, 3)
	ms = append(ms, hostileMessage{"bomb", bomb.out, n, all, false})
	var w testBits
	l := make([]uint8, 286)
	for i := range l {
		l[i] = 8
		if i >= 226 {
			l[i] = 9
		}
	}
	w.dynamic(0, l, lens(30, 0, 1, 1, 1))
	for len(w.out) < 4096 {
		w.code(l, len(w.out)%226)
	}
	w.code(l, 256)
	w.put(0, 3)
	p := w.out
	ms = append(ms, hostileMessage{"pieces of a byte", p, 8192, 1, false}, hostileMessage{"pieces of a byte parked", p, 8192, 1, true},
		hostileMessage{"pieces of 16 bytes parked", p, 8192, 16, true})
	return ms
}

// smallHeader appends a dynamic header whose code for code lengths has the
// symbols 18, 1, 0 alone.
func (w *testBits) smallHeader(lits int, syms ...[2]int) {
	cl := lens(19, 18, 1, 1, 2, 0, 2)
	w.put(2<<1, 3)
	w.put(uint64(lits-257), 5)
	w.put(0, 5)
	w.put(14, 4)
	for _, i := range codeOrder[:18] {
		w.put(uint64(cl[i]), 3)
	}
	for _, s := range syms {
		w.code(cl, s[0])
		w.put(uint64(s[1]), map[int]int{16: 2, 17: 3, 18: 7}[s[0]])
	}
}
