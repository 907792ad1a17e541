package conform

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// A dataset is a file that the cases of classes 12 and 13 cut their messages
// from. It is generated with the first use and always the same. Safe for
// concurrent use.
type dataset struct {
	name string // as in "1000 bytes of prose"
	text bool   // its messages are Text, and counted in characters
	size int    // in bytes
	make func(size int) []byte

	once    sync.Once
	data    []byte
	offsets []int // of text: where each character begins, and the end
}

// The data sets. The cases are about their sizes and their compression ratios,
// not about their content.
var (
	jsonData     = &dataset{name: "JSON", text: true, size: 194056, make: makeRecords} // all of them ASCII
	bitmapData   = &dataset{name: "a bitmap", size: 263222, make: makeShades}
	novelData    = &dataset{name: "prose", size: 222218, make: makeNovel}
	htmlData     = &dataset{name: "HTML", text: true, size: 263647, make: makeHTML} // 263620 characters
	documentData = &dataset{name: "a document", size: 1042328, make: makeDocument}  // hardly compressible
)

// bytes returns the whole file. The caller must not change it.
func (s *dataset) bytes() []byte {
	s.once.Do(func() {
		s.data = s.make(s.size)
		if s.text {
			for i := range string(s.data) {
				s.offsets = append(s.offsets, i)
			}
			s.offsets = append(s.offsets, len(s.data))
		}
	})
	return s.data
}

// units returns the length of the file in characters if it is text, else in
// bytes.
func (s *dataset) units() int {
	if n := len(s.bytes()); !s.text {
		return n
	}
	return len(s.offsets) - 1
}

// offset returns where the unit with this number begins, in bytes.
func (s *dataset) offset(unit int) int {
	if s.text {
		return s.offsets[unit]
	}
	return unit
}

// messages returns a function that returns the next message: the next size
// units of the file, which starts again at its end. A message is valid until
// the next call. The caller must not change it.
func (s *dataset) messages(size int) func() []byte {
	data, units := s.bytes(), s.units()
	at := 0
	var joined []byte
	return func() []byte {
		begin := at
		at += size
		if at < units {
			return data[s.offset(begin):s.offset(at)]
		}
		joined = append(joined[:0], data[s.offset(begin):]...)
		for at -= units; at >= units; at -= units {
			joined = append(joined, data...)
		}
		joined = append(joined, data[:s.offset(at)]...)
		return joined
	}
}

// newRand returns random numbers that are the same in each run.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// noise returns n random bytes.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// makeDocument makes a file, mostly of data that cannot be compressed. The
// table at its beginning can be: also the first short messages refer to earlier
// ones.
func makeDocument(size int) (b []byte) {
	r := newRand(5)
	for n := range 100 {
		b = fmt.Appendf(b, "%010d 00000 n\n", n*8000+r.IntN(8000))
	}
	for len(b) < size {
		b = append(fmt.Appendf(b, "%d 0 obj << /Type /EmbeddedFile >> stream\n", len(b)), noise(r, 8000)...)
	}
	return b[:size]
}

// makeShades makes a picture of 512 by 512 points in shades that become
// brighter from line to line, with the grain of a photograph.
func makeShades(size int) []byte {
	r := newRand(4)
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i/512/4 + r.IntN(64))
	}
	return b
}

// prose makes sentences of invented words, of which few are frequent.
type prose struct {
	*rand.Rand
	words []string // word number n is about 1/n as frequent as the first
	upTo  []int    // the sum of the frequencies of the words up to each
}

func newProse(seed uint64) *prose {
	p := &prose{Rand: newRand(7)} // the same words for all seeds
	for total := 0; len(p.words) < 2000; {
		word := ""
		for range 1 + p.IntN(1+len(p.words)/100)%3 {
			word += p.pick("b br c cl d f gr h l m n p r s sh st t th v w") + p.pick("a e i o u ai ea ou") + p.pick("d l n r s t ck nd st ing er")
		}
		total += 1 << 20 / (len(p.words) + 3)
		p.words, p.upTo = append(p.words, word), append(p.upTo, total)
	}
	p.Rand = newRand(seed)
	return p
}

// pick returns one of the words in list.
func (p *prose) pick(list string) string {
	f := strings.Fields(list)
	return f[p.IntN(len(f))]
}

func (p *prose) word() string {
	i, _ := slices.BinarySearch(p.upTo, p.IntN(p.upTo[len(p.upTo)-1])+1)
	return p.words[i]
}

// text returns n sentences.
func (p *prose) text(n int) string {
	var b strings.Builder
	for range n {
		word := p.word()
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		for range 3 + p.IntN(18) {
			b.WriteString(p.pick("_ _ _ _ _ _ _ _ , ;")[:1] + " " + p.word())
		}
		b.WriteString(p.pick(". . . . ? !") + " ")
	}
	return strings.NewReplacer("_", "").Replace(b.String())
}

// makeNovel makes prose.
func makeNovel(size int) (b []byte) {
	p := newProse(2)
	for len(b) < size {
		b = append(b, p.text(1+p.IntN(8))+"\n\n"...)
	}
	return b[:size]
}

// fill returns a text of size bytes: parts of up to 2000 bytes between the
// beginning and the end, and dots before the end.
func fill(size int, begin string, part func(n int) string, end string) []byte {
	b := []byte(begin)
	for n := 0; len(b)+len(end)+2000 < size; n++ {
		b = append(b, part(n)...)
	}
	b = append(b, strings.Repeat(".", size-len(b)-len(end))...)
	return append(b, end...)
}

// makeRecords makes a JSON text: an array of objects, one like the other.
func makeRecords(size int) []byte {
	p := newProse(1)
	return fill(size, "[\"", func(n int) string {
		friends := ""
		for range 3 {
			friends += fmt.Sprintf("      {\n        \"id\": %d,\n        \"name\": %q\n      },\n", p.IntN(1000), p.word()+" "+p.word())
		}
		return fmt.Sprintf("\",\n  {\n    \"id\": %d,\n    \"key\": \"%08x\",\n    \"active\": %t,\n    \"balance\": \"%d.%02d EUR\",\n"+
			"    \"company\": %q,\n    \"email\": \"%s@mail.example\",\n    \"registered\": \"20%02d-%02d-%02dT00:00:00Z\",\n"+
			"    \"latitude\": %d.%06d,\n    \"tags\": [%q, %q, %q],\n    \"friends\": [\n%s      null\n    ],\n"+
			"    \"greeting\": \"Hello, you have %d unread messages.\"\n  },\n  \"",
			n, p.Uint32(), p.IntN(3) > 0, p.IntN(9000), p.IntN(100), p.word(), p.word(), p.IntN(25), 1+p.IntN(12), 1+p.IntN(28),
			p.IntN(90), p.IntN(1e6), p.word(), p.word(), p.word(), friends, p.IntN(20))
	}, "\"]\n")
}

// wideWords are the words of the page that are not ASCII: 19 characters, in 27
// bytes more.
var wideWords = strings.Fields("caf\u00e9 na\u00efve \u2020 \u00dcbung fa\u00e7ade \u20ac \u00c5land se\u00f1or \u2192 sm\u00f8r " +
	"\u03c0 \u4e16 \u0436 cr\u00e8me \u2026 \u00e6on \u754c \u00fe \U0001f427")

// makeHTML makes a page: sections with a heading, paragraphs, a link and a
// table.
func makeHTML(size int) []byte {
	p := newProse(3)
	return fill(size, "<!DOCTYPE html>\n<html lang=\"en\">\n<body>\n<p>", func(n int) string {
		wide := p.word()
		if n%12 == 0 && n/12 < len(wideWords) {
			wide = wideWords[n/12]
		}
		rows := ""
		for range 2 + p.IntN(5) {
			rows += fmt.Sprintf("<tr class=\"row\"><td class=\"name\">%s</td><td class=\"number\">%d.%02d</td></tr>\n", p.word(), p.IntN(1000), p.IntN(100))
		}
		return fmt.Sprintf("</p>\n<h2 class=\"title\">%d. %s</h2>\n<p class=\"text\">%s<em>%s</em> <a class=\"reference\" href=\"#%s\">%s</a></p>\n"+
			"<table class=\"prices\">\n%s</table>\n<p class=\"text\">", n, p.word(), p.text(2), wide, p.word(), p.word(), rows)
	}, "</p>\n</body>\n</html>\n")
}
