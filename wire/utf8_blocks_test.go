package wire_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// eachUTF8 runs test with every implementation of this machine.
func eachUTF8(t *testing.T, test func(t *testing.T)) {
	t.Run("default", test)
	if vectors := wire.UTF8Vectors; vectors != nil && *vectors {
		*vectors = false
		defer func() { *vectors = true }()
		t.Run("without vectors", test)
	}
}

// wantUTF8 checks p as a complete text.
func wantUTF8(t *testing.T, p []byte, bad int, complete bool) {
	var u wire.UTF8
	if got := u.Check(p); got != bad || bad < 0 && u.Complete() != complete {
		t.Fatalf("Check(% x) = %d, complete %v, want %d, %v", p, got, u.Complete(), bad, complete)
	}
}

// borderSequence is a sequence of four bytes with the expected result.
type borderSequence struct {
	p        [4]byte
	bad      int
	complete bool
}

// borderSequences returns all sequences of three border bytes: valid prefixes
// with every fourth byte, the others with two fourth bytes that hide no fault.
func borderSequences() (list []borderSequence) {
	for _, a := range borders {
		for _, b := range borders {
			for _, c := range borders {
				p := [4]byte{a, b, c}
				bad, _ := naiveUTF8(p[:3])
				if bad >= 0 {
					for _, p[3] = range []byte{'.', 0x80} {
						list = append(list, borderSequence{p, bad, false})
					}
					continue
				}
				for _, p[3] = range borders {
					bad, complete := naiveUTF8(p[:])
					list = append(list, borderSequence{p, bad, complete})
				}
			}
		}
	}
	return list
}

// TestSequencesAcrossBlocks places sequences of border bytes at the ends of the
// vectors, in texts of ASCII and of longer code points (6455-8.1-b,
// 6455-8.1-d).
func TestSequencesAcrossBlocks(t *testing.T) {
	sequences := borderSequences()
	eachUTF8(t, func(t *testing.T) {
		for _, around := range []string{"a", "é", "語", "𝄞"} {
			for _, before := range []int{29, 30, 31, 32, 62, 127, 159} {
				for _, behind := range []int{0, 12, 36} {
					n := before / len(around)
					text := []byte(strings.Repeat("a", before-n*len(around)) + strings.Repeat(around, n) + "...." + strings.Repeat(around, behind/len(around)))
					for _, seq := range sequences {
						copy(text[before:], seq.p[:])
						switch {
						case seq.bad >= 0:
							wantUTF8(t, text, before+seq.bad, false)
						case !seq.complete && behind > 0:
							wantUTF8(t, text, before+4, false)
						default:
							wantUTF8(t, text, -1, seq.complete)
						}
					}
				}
			}
		}
	})
}

// TestEverySequenceOfThreeBytesAcrossBlocks places two bytes before the end of
// a vector and one after it (6455-8.1-b).
func TestEverySequenceOfThreeBytesAcrossBlocks(t *testing.T) {
	around := strings.Repeat("é", 15)
	text, text4 := []byte(around+"..."+around), []byte(around+"...\x80"+around)
	p, p4 := text[30:33], text4[30:34]
	for i := range 1 << 16 {
		p[0], p[1] = byte(i>>8), byte(i)
		bad2, _ := naiveUTF8(p[:2])
		if bad2 >= 0 {
			// No third byte changes the result of two invalid bytes, and a
			// fourth could only hide the fault.
			copy(p4, p[:2])
			for _, p4[2] = range borders {
				wantUTF8(t, text4, 30+bad2, false)
			}
			continue
		}
		for c := range 256 {
			p[2] = byte(c)
			bad, complete := naiveUTF8(p)
			switch {
			case bad >= 0:
				wantUTF8(t, text, 30+bad, false)
			case !complete:
				wantUTF8(t, text, 33, false)
			default:
				wantUTF8(t, text, -1, true)
			}
		}
	}
}

// TestLongTextCutAnywhere checks every length and every pair of pieces, of
// valid texts and of texts with one fault (6455-8.1-d, 6455-8.1-e).
func TestLongTextCutAnywhere(t *testing.T) {
	mixed := strings.Repeat("aé語𝄞", 4) + strings.Repeat("a", 70) + strings.Repeat("語", 17) + "𝄞"
	eachUTF8(t, func(t *testing.T) {
		for n := range len(mixed) + 1 {
			p := []byte(mixed[:n])
			bad, complete := naiveUTF8(p)
			checkEverySplit(t, p, bad, complete)
		}
		for i := range len(mixed) {
			for _, c := range []byte{'z', 0x80, 0xC3, 0xED, 0xF4, 0xFF} {
				p := []byte(mixed)
				p[i] = c
				bad, complete := naiveUTF8(p)
				checkEverySplit(t, p, bad, complete)
			}
		}
	})
}
