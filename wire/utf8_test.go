package wire_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fibersock/fibersock/fuzz"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// sequences is the grammar of RFC 3629, Section 4. Each row has the bounds of
// its bytes.
var sequences = [][][2]byte{
	{{0x00, 0x7f}},
	{{0xc2, 0xdf}, {0x80, 0xbf}},
	{{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}},
	{{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}},
	{{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}},
	{{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}},
}

// matches reports whether p is a prefix of the sequence and whether p is all of
// it.
func matches(p []byte, sequence [][2]byte) (begins, whole bool) {
	if len(p) > len(sequence) {
		return false, false
	}
	for i, c := range p {
		if c < sequence[i][0] || c > sequence[i][1] {
			return false, false
		}
	}
	return true, len(p) == len(sequence)
}

// naiveUTF8 compares every row of the grammar after every byte. It returns the
// index of the first byte after which no row matches, or -1, and whether the
// text is complete.
func naiveUTF8(p []byte) (bad int, complete bool) {
	start := 0
next:
	for i := range p {
		for _, sequence := range sequences {
			begins, whole := matches(p[start:i+1], sequence)
			if whole {
				start = i + 1
			}
			if begins {
				continue next
			}
		}
		return i, false
	}
	return -1, start == len(p)
}

// checkPieces checks p in pieces that end at the given positions, and compares
// the result with that of the whole.
func checkPieces(t *testing.T, p []byte, bad int, complete bool, cuts ...int) {
	t.Helper()
	var u wire.UTF8
	start := 0
	for _, end := range append(cuts, len(p)) {
		got := u.Check(p[start:end])
		want := -1
		if bad >= start && bad < end {
			want = bad - start
		}
		if got != want {
			t.Fatalf("% x in pieces cut at %d: Check(% x) = %d, want %d", p, cuts, p[start:end], got, want)
		}
		if got >= 0 {
			return
		}
		start = end
	}
	if u.Complete() != complete {
		t.Fatalf("% x in pieces cut at %d: Complete() = %v, want %v", p, cuts, u.Complete(), complete)
	}
}

// checkEverySplit checks p as a whole, in any two pieces, and byte by byte.
func checkEverySplit(t *testing.T, p []byte, bad int, complete bool) {
	t.Helper()
	checkPieces(t, p, bad, complete)
	var bytewise []int
	for i := range p {
		checkPieces(t, p, bad, complete, i)
		bytewise = append(bytewise, i)
	}
	checkPieces(t, p, bad, complete, bytewise...)
}

// TestInvalidUTF8IsFoundAtItsByte is a table of the kinds of invalid UTF-8, and
// of valid text that resembles them (6455-8.1-a, -b, -c, -d).
func TestInvalidUTF8IsFoundAtItsByte(t *testing.T) {
	const valid, cut = -1, -2
	tests := []struct {
		name string
		text string
		want int // the index of the first impossible byte, valid or cut
	}{
		{"overlong, 2 bytes, solidus", "c0 af", 0},
		{"overlong, 2 bytes, NUL", "c0 80", 0},
		{"overlong, 2 bytes, last", "c1 bf", 0},
		{"overlong, 3 bytes, solidus", "e0 80 af", 1},
		{"overlong, 3 bytes, last", "e0 9f bf", 1},
		{"overlong, 4 bytes, solidus", "f0 80 80 af", 1},
		{"overlong, 4 bytes, last", "f0 8f bf bf", 1},
		{"5 bytes", "f8 88 80 80 80", 0},
		{"6 bytes", "fc 84 80 80 80 80", 0},
		{"fe", "fe", 0},
		{"ff", "ff", 0},
		{"f5", "f5 80 80 80", 0},
		{"f7", "f7 bf bf bf", 0},
		{"stray continuation, first", "80", 0},
		{"stray continuation, last", "bf", 0},
		{"stray continuation after a whole code point", "e2 82 ac 80", 3},
		{"cut after 1 of 2", "ce", cut},
		{"cut after 1 of 2, last", "df", cut},
		{"cut after 2 of 3", "e1 bd", cut},
		{"cut after 2 of 3, last", "ef bf", cut},
		{"cut after 3 of 4", "f0 90 80", cut},
		{"cut in the second code point", "41 e2 82", cut},
		{"no continuation at 1 of 3", "e2 28 a1", 1},
		{"no continuation at 2 of 3", "e2 82 28", 2},
		{"no continuation at 1 of 4", "f0 28 8c bc", 1},
		{"no continuation at 2 of 4", "f0 90 28 bc", 2},
		{"no continuation at 3 of 4", "f0 90 80 28", 3},
		{"a new code point before the end of another", "e2 82 e2 82 ac", 2},
		{"first surrogate", "ed a0 80", 1},
		{"last surrogate", "ed bf bf", 1},
		{"pair of surrogates", "ed a0 80 ed b0 80", 1},
		{"before the surrogates", "ed 9f bf", valid},
		{"after the surrogates", "ee 80 80", valid},
		{"U+10FFFF", "f4 8f bf bf", valid},
		{"U+110000", "f4 90 80 80", 1},
		{"U+FFFE, a non-character", "ef bf be", valid},
		{"U+FFFF, a non-character", "ef bf bf", valid},
		{"U+1FFFE, a non-character", "f0 9f bf be", valid},
		{"U+FFFD", "ef bf bd", valid},
		{"U+FEFF, the byte order mark", "ef bb bf", valid},
		{"NUL", "00", valid},
		{"DEL", "7f", valid},
		{"first of 2 bytes", "c2 80", valid},
		{"first of 3 bytes", "e0 a0 80", valid},
		{"first of 4 bytes", "f0 90 80 80", valid},
		{"nothing", "", valid},
		{"Autobahn 6.3.1", "cebae1bdb9cf83cebcceb5 eda080 656469746564", 12},
		{"Autobahn 6.4.2", "cebae1bdb9cf83cebcceb5 f4 90 808065646974 6564", 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := unhex(tt.text)
			bad, complete := tt.want, tt.want == valid
			if tt.want == cut {
				bad = -1
			}
			checkEverySplit(t, p, bad, complete)
			// After ASCII text of any length around that of a word, the index
			// is larger by that length.
			for n := range 20 {
				behind := append(bytes.Repeat([]byte{'a'}, n), p...)
				if bad >= 0 {
					checkPieces(t, behind, n+bad, complete)
				} else {
					checkPieces(t, behind, -1, complete)
				}
			}
		})
	}
}

// TestStateCarriesAcrossPieces checks the fragments of one message
// (6455-8.1-e).
func TestStateCarriesAcrossPieces(t *testing.T) {
	var u wire.UTF8
	for i, piece := range []string{"\xe2", "", "\x82", "\xac", ""} {
		check.Equal(t, u.Check([]byte(piece)), -1, "piece %d of the euro sign: Check", i)
		check.Equal(t, u.Complete(), i >= 3, "after piece %d of the euro sign: Complete", i)
	}
	u.Check([]byte{0xed})
	if got := u.Check([]byte("\xa0")); got != 0 {
		t.Errorf("half a surrogate in its own piece: Check = %d, want 0", got)
	}
}

// TestResetStartsANewText checks Reset after a failure and inside a code point
// (6455-8.1-c, 6455-8.1-e).
func TestResetStartsANewText(t *testing.T) {
	for _, before := range []string{"", "a", "\xf4", "\xe2\x82", "\xff", "\xed\xa0", "\xe0\xa0 "} {
		var u wire.UTF8
		u.Check([]byte(before))
		u.Reset()
		if !u.Complete() {
			t.Errorf("reset after % x: not complete", before)
		}
		if got := u.Check([]byte("\x82\xac")); got != 0 {
			t.Errorf("reset after % x: Check of a stray continuation = %d, want 0", before, got)
		}
		u.Reset()
		if got := u.Check([]byte("κόσμε")); got != -1 || !u.Complete() {
			t.Errorf("reset after % x: Check(κόσμε) = %d, complete %v", before, got, u.Complete())
		}
	}
}

// checkUTF8 compares the result with the given one and with that of the
// standard library, which has no index.
func checkUTF8(t *testing.T, p []byte, bad int, complete bool) {
	var u wire.UTF8
	if got := u.Check(p); got != bad {
		t.Fatalf("Check(% x) = %d, want %d", p, got, bad)
	}
	if bad < 0 && u.Complete() != complete {
		t.Fatalf("after % x: Complete() = %v, want %v", p, u.Complete(), complete)
	}
	if utf8.Valid(p) != (bad < 0 && complete) {
		t.Fatalf("% x: the verdict %d, complete %v is not that of utf8.Valid", p, bad, complete)
	}
}

// TestEverySequenceOfUpToThreeBytes checks 6455-8.1-b exhaustively.
func TestEverySequenceOfUpToThreeBytes(t *testing.T) {
	for a := range 256 {
		p := []byte{byte(a)}
		bad, complete := naiveUTF8(p)
		checkUTF8(t, p, bad, complete)
		for b := range 256 {
			p := []byte{byte(a), byte(b)}
			bad2, complete := naiveUTF8(p)
			checkUTF8(t, p, bad2, complete)
			for c := range 256 {
				p := [3]byte{byte(a), byte(b), byte(c)}
				// A third byte does not change the result of two invalid bytes.
				bad, complete := bad2, false
				if bad2 < 0 {
					bad, complete = naiveUTF8(p[:])
				}
				checkUTF8(t, p[:], bad, complete)
			}
		}
	}
}

// borders has both ends of every range of bytes in the grammar.
var borders = unhex("00 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 f8 ff")

// TestEverySequenceOfFourBorderBytes checks 6455-8.1-b for four bytes. It tries
// only the borders.
func TestEverySequenceOfFourBorderBytes(t *testing.T) {
	for _, a := range borders {
		for _, b := range borders {
			for _, c := range borders {
				for _, d := range borders {
					p := [4]byte{a, b, c, d}
					bad, complete := naiveUTF8(p[:])
					checkUTF8(t, p[:], bad, complete)
				}
			}
		}
	}
}

// TestRandomTextInRandomPieces mixes valid runs, which reach the fast path,
// with border bytes (6455-8.1-d, 6455-8.1-e).
func TestRandomTextInRandomPieces(t *testing.T) {
	eachUTF8(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(6455, 81))
		runs := []string{"plain text, longer than a word", "κόσμε", "日本語", "𝄞𝄢", "a", "é", "\x00", "\U0010ffff"}
		for range 20000 {
			var p []byte
			longest := 6 << rng.IntN(5)
			for range 1 + rng.IntN(longest) {
				if rng.IntN(longest) == 0 {
					p = append(p, borders[rng.IntN(len(borders))])
				} else {
					p = append(p, runs[rng.IntN(len(runs))]...)
				}
			}
			bad, complete := naiveUTF8(p)
			checkUTF8(t, p, bad, complete)
			first := rng.IntN(len(p) + 1)
			second := first + rng.IntN(len(p)-first+1)
			checkPieces(t, p, bad, complete, first, second)
		}
	})
}

// TestEveryCodePoint checks all code points of Unicode; only the surrogates are
// invalid (6455-8.1-b).
func TestEveryCodePoint(t *testing.T) {
	var text []byte
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			text = utf8.AppendRune(text, r)
		}
	}
	eachUTF8(t, func(t *testing.T) {
		const piece = 1021 // a prime, so that the cuts fall on every byte of a code point
		var u wire.UTF8
		for i := 0; i < len(text); i += piece {
			if got := u.Check(text[i:min(i+piece, len(text))]); got != -1 {
				t.Fatalf("Check = %d in the piece at %d", got, i)
			}
		}
		if !u.Complete() {
			t.Error("not complete after the last code point")
		}
	})
}

// FuzzUTF8Implementations runs fuzz.UTF8 with every implementation (6455-8.1-d,
// T-H11).
func FuzzUTF8Implementations(f *testing.F) {
	for _, s := range []string{"", "κόσμε", "日本語, and some ASCII behind", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xc0\xaf"} {
		f.Add([]byte("\x01\x00\x01\x00" + s))
		f.Add([]byte("\x21\x00\x64\x00" + strings.Repeat("plain text ", 15) + strings.Repeat("κόσμε 日本語 𝄞", 5) + s + "behind it"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		eachUTF8(t, func(*testing.T) { fuzz.UTF8(data) })
	})
}
