package conform

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// frequentWords are the most frequent words of a text, in this order.
const frequentWords = `the of and to a in that was it his he with as for had on at but by not her she from which be
they were so all one or said this an there when would out up into them then no him who could been what more their
if time some down very before like now over about old little where only made long after man under again came still
through day two see went water other night must light hand back first way sea house good while never great here
across road door tide stone wind lamp harbour bread rope field window salt island letter morning evening winter
summer river boat north south east west captain keeper sister brother village tower cellar garden orchard kitchen
silver copper iron wool paper ink candle shadow mirror ladder bridge market music story question answer silence
thunder feather whistle bottle barrel blanket anchor compass lantern chimney doorstep cobble meadow thistle heron
curlew plover gannet otter badger lynx walnut juniper alder willow rowan hazel bramble heather moss lichen granite
slate chalk amber coral shingle ripple current eddy estuary headland causeway ferry dinghy oar rudder sail mast`

// words are the words of the texts: the frequent ones, and more that are
// generated from syllables. Word number n is about 1/n as frequent as the
// first.
type words struct {
	r     *rand.Rand
	list  []string
	upTo  []int // upTo[i] is the sum of the frequencies of the words up to i
	total int
}

// newWords returns words in an order that the seed determines.
func newWords(seed uint64) *words {
	w := &words{r: rand.New(rand.NewPCG(seed, 20250131)), list: strings.Fields(frequentWords)}
	made := rand.New(rand.NewPCG(7, 7)) // the same for all seeds
	for len(w.list) < 2000 {
		w.list = append(w.list, makeWord(made))
	}
	for i := range w.list {
		w.total += 1 << 20 / (i + 3)
		w.upTo = append(w.upTo, w.total)
	}
	return w
}

func makeWord(r *rand.Rand) string {
	starts := strings.Fields("b br c cl d dr f fl g gr h l m n p pl pr qu r s sh sl st str t th tr v w")
	middles := strings.Fields("a e i o u ai ea ee oa ou")
	ends := strings.Fields("d l m n r s t ck ft ld lt nd ng nt rd rm rn st th ll")
	endings := strings.Fields("ing ed er ly ness s ful less en y ment")
	var b strings.Builder
	for range 1 + r.IntN(2) {
		b.WriteString(starts[r.IntN(len(starts))])
		b.WriteString(middles[r.IntN(len(middles))])
		b.WriteString(ends[r.IntN(len(ends))])
	}
	if r.IntN(2) == 0 {
		b.WriteString(endings[r.IntN(len(endings))])
	}
	return b.String()
}

// word returns the next word.
func (w *words) word() string {
	i, _ := slices.BinarySearch(w.upTo, w.r.IntN(w.total)+1)
	return w.list[i]
}

// name returns a word with a capital.
func (w *words) name() string { return capital(w.list[w.r.IntN(len(w.list))]) }

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// pick returns one of the words in list.
func (w *words) pick(list string) string {
	f := strings.Fields(list)
	return f[w.r.IntN(len(f))]
}

// sentence returns a sentence of some words.
func (w *words) sentence() string {
	n := 4 + w.r.IntN(18)
	s := make([]string, n)
	for i := range s {
		s[i] = w.word()
		if i > 2 && i < n-2 && w.r.IntN(9) == 0 {
			s[i] += w.pick(", , , ; :")
		}
	}
	return capital(strings.Join(s, " ")) + w.pick(". . . . . ? !")
}

// paragraph returns n sentences.
func (w *words) paragraph(n int) string {
	s := make([]string, n)
	for i := range s {
		s[i] = w.sentence()
	}
	return strings.Join(s, " ")
}

// filler returns exactly n bytes of words.
func (w *words) filler(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(w.word())
		b.WriteByte(' ')
	}
	s := strings.TrimRight(b.String()[:n], " ")
	return s + strings.Repeat(".", n-len(s))
}
