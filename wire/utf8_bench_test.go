package wire_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// utf8Texts are words with their separator. Texts are random sequences of them,
// so that no branch predictor learns a text.
var utf8Texts = []struct{ name, end, words string }{
	{"ASCII", " ", "The quick brown fox jumps over a lazy dog while five boxing wizards sphinx of black quartz judge my vow "},
	{"Greek", " ", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία τα τζάκια και οι γάτες δεν θα ξαναβρώ στον χρυσαφένιο ξέφωτο "},
	{"Japanese", "、", "いろは、にほへと、ちりぬるを、色は匂へど、散りぬるを、我が世誰ぞ、常ならむ、有為の奥山、今日越えて。ヴァイオリンを、"},
	{"mixed", " ", "Příliš žluťoučký kůň úpěl ďábelské ódy où l'île déçue naïve Füße größer Jürgen said that the price was 5€ today "},
	{"rare", " ", strings.Repeat("The quick brown fox jumps over a lazy dog while five boxing wizards judge my vow ", 8) + "naïve "},
	{"emoji", " ", "nice 😀😀 👍🏽 ok 🎉🎉🎉 ❤️ see you 👨‍👩‍👧 bye 🙏 thanks 🚀 🇬🇷 lol 😂😂😂 "},
}

// utf8Text returns whole code points of at most n bytes, close to n.
func utf8Text(words, end string, n int) []byte {
	list := strings.SplitAfter(words, end)
	rng := rand.New(rand.NewPCG(3629, uint64(n)))
	var p []byte
	for len(p) <= n {
		p = append(p, list[rng.IntN(len(list))]...)
	}
	for !utf8.RuneStart(p[n]) {
		n--
	}
	return p[:n]
}

// BenchmarkUTF8 prints how fast validation is in comparison with utf8.Valid on
// the same text.
func BenchmarkUTF8(b *testing.B) {
	for _, tt := range utf8Texts {
		for _, size := range []int{5, 32, 125, 1 << 10, 16 << 10, 1 << 20} {
			p := utf8Text(tt.words, tt.end, size)
			b.Run(fmt.Sprintf("%s/%d", tt.name, size), func(b *testing.B) {
				var u wire.UTF8
				ours := compare(b,
					contender{"utf8.Valid", func(n int) {
						for range n {
							if !utf8.Valid(p) {
								b.Fatal("refused")
							}
						}
					}},
					contender{"check", func(n int) {
						for range n {
							if u.Check(p) != -1 {
								b.Fatal("refused")
							}
						}
					}},
				)
				b.ReportMetric(float64(len(p))*1e3/ours, "MB/s")
			})
		}
	}
}
