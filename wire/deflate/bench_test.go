package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// benchMessages returns streams of compressed messages of one kind each, and
// their number of bytes of text.
func benchStreams(b *testing.B) []benchStream {
	r := rand.New(rand.NewPCG(1, 1))
	ticks := make([][]byte, 64)
	for i := range ticks {
		ticks[i] = fmt.Appendf(nil, `{"type":"ticker","sequence":%d,"product_id":"BTC-USD","price":"%d.%02d","open_24h":"67021.5","volume_24h":"%d.%08d","best_bid":"%d.%02d","best_ask":"%d.%02d","side":"%s","time":"2026-11-29T23:%02d:%02d.%06dZ"}`,
			90_000_000_000+i*7+r.IntN(7), 67000+r.IntN(400), r.IntN(100), 9000+r.IntN(100), r.IntN(1e8), 67000+r.IntN(400), r.IntN(100), 67000+r.IntN(400), r.IntN(100), []string{"buy", "sell"}[r.IntN(2)], i/60, i%60, r.IntN(1e6))
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
	s := newFlateSender(b, level, takeover)
	st := benchStream{name: name, takeover: takeover, texts: texts}
	for _, m := range texts {
		st.messages = append(st.messages, s.message(m))
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
				if i == 0 && d.window != nil {
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
