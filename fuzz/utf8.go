package fuzz

import (
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// UTF8 reads two cuts from data; the rest is a text. wire.UTF8 must find the
// first byte that no valid text can have there, as a naive decoder does, from
// the whole, from three pieces and byte by byte, and accept exactly the texts
// that unicode/utf8 accepts.
func UTF8(data []byte) int {
	p := &program{data}
	cut1, cut2 := p.uint16(), p.uint16()
	text := p.all()
	bad, complete := decodeUTF8(text)
	if utf8.Valid(text) != (bad < 0 && complete) {
		violated("the naive decoder agrees with unicode/utf8", "% x: bad at %d, complete is %v", text, bad, complete)
	}
	a := min(cut1, len(text))
	b := a + min(cut2, len(text)-a)
	checkPieces(text, bad, complete, text)
	checkPieces(text, bad, complete, text[:a], text[a:b], text[b:])
	single := make([][]byte, len(text))
	for i := range text {
		single[i] = text[i : i+1]
	}
	checkPieces(text, bad, complete, single...)
	return worth(len(text) > 0)
}

// checkPieces reads a text in pieces and wants the verdict of the whole: the first
// impossible byte is bad, none if that is -1.
func checkPieces(text []byte, bad int, complete bool, pieces ...[]byte) {
	var u wire.UTF8
	u.Check([]byte("\xe2\x82")) // the beginning of another text
	u.Reset()
	start := 0
	for _, piece := range pieces {
		got := u.Check(piece)
		want := -1
		if start <= bad && bad < start+len(piece) {
			want = bad - start
		}
		if got != want {
			violated("the first impossible byte is found, and none before it",
				"% x in %d pieces: Check of the piece at %d is %d, want %d", text, len(pieces), start, got, want)
		}
		if got >= 0 {
			return
		}
		start += len(piece)
	}
	if u.Complete() != complete {
		violated("a text is complete where a code point ends", "% x in %d pieces: %v, want %v", text, len(pieces), u.Complete(), complete)
	}
}

// leads are the kinds of first bytes: their fixed bits, the number of bytes
// that follow, and the least code point that needs so many.
var leads = []struct {
	mask, tag byte
	follow    int
	least     int
}{
	{0x80, 0x00, 0, 0},
	{0xe0, 0xc0, 1, 0x80},
	{0xf0, 0xe0, 2, 0x800},
	{0xf8, 0xf0, 3, 0x10000},
}

// decodeUTF8 returns the index of the first byte that no valid text can have
// there, -1 if there is none, and whether the text may end after its last byte.
//
// It tracks the range of code points that a sequence can still encode. The
// first byte defines the length, each further one adds six bits. The sequence
// is invalid once the range contains no code point that needs so many bytes.
func decodeUTF8(text []byte) (bad int, complete bool) {
	var low, high int // the range
	var least int     // code point that needs a sequence of this length
	follow := 0       // remaining bytes of the sequence
	for i, c := range text {
		if follow == 0 {
			known := false
			for _, lead := range leads {
				if c&lead.mask == lead.tag {
					follow, least, known = lead.follow, lead.least, true
					low = int(c&^lead.mask) << (6 * follow)
					high = low + 1<<(6*follow) - 1
				}
			}
			if !known {
				return i, false
			}
		} else {
			if c&0xc0 != 0x80 {
				return i, false
			}
			follow--
			low += int(c&0x3f) << (6 * follow)
			high = low + 1<<(6*follow) - 1
		}
		surrogates := 0xd800 <= low && high <= 0xdfff
		if high < least || low > utf8.MaxRune || surrogates {
			return i, false
		}
	}
	return -1, follow == 0
}
