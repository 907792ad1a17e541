package deflate

import (
	"math/rand/v2"
	"testing"
)

// completeLengths returns the code lengths of a random complete code of up to
// symbols symbols. Codes are the longer the larger skew is.
func completeLengths(r *rand.Rand, symbols, longest int, skew float64) []uint8 {
	leaves := []uint8{1, 1}
	for used := 2 + r.IntN(symbols-1); len(leaves) < used; {
		i := r.IntN(len(leaves))
		if r.Float64() < skew {
			i = len(leaves) - 1
		}
		if int(leaves[i]) == longest {
			if i = r.IntN(len(leaves)); int(leaves[i]) == longest {
				used--
				continue
			}
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	lengths := make([]uint8, symbols)
	for i, at := range r.Perm(symbols)[:len(leaves)] {
		lengths[at] = leaves[i]
	}
	return lengths
}

// The tables of random complete codes have each code at each index that begins
// with it, in the memory that is set aside for them.
func TestTablesOfCompleteCodes(t *testing.T) {
	constant.once.Do(initConstant)
	r := rand.New(rand.NewPCG(4, 4))
	for round := range 600 {
		skew := float64(round%10) / 10
		for _, c := range []struct {
			root, size, symbols, longest int
			key, first                   uint
			entries                      []uint32
		}{
			{litBits, litTableSize, 286, 15, 0, 0, constant.litEntries[:]},
			{distBits, distTableSize, 30, 15, listKeys, 286, constant.distEntries[:]},
			{maxCodeLengthBits, 1 << maxCodeLengthBits, 19, 7, 0, 0, constant.codeEntries[:]},
		} {
			lengths := completeLengths(r, c.symbols, c.longest, skew)
			b := new(tableBuilder)
			b.begin()
			for i, n := range lengths {
				b.add(c.first+uint(i), c.key+uint(n))
			}
			table := make([]uint32, c.size)
			if got := b.build(table, uint(c.root), c.key, c.first, c.entries); got != codeComplete {
				t.Fatalf("the code with lengths %v is %s", lengths, got)
			}
			for symbol, n := range lengths {
				if n == 0 {
					continue
				}
				code, _ := canonical(lengths, symbol)
				index := 0
				for i := range int(n) {
					index |= code >> (int(n) - 1 - i) & 1 << i
				}
				index |= r.IntN(1<<(16-n)) << n
				e := table[index&(1<<c.root-1)]
				used := 0
				if e&entryLink == entryLink {
					used = c.root
					e = table[int(e>>entryValue)+index>>c.root&(1<<(e>>entryCode&15)-1)]
				}
				if want := c.entries[symbol] + uint32(int(n)-used)*entryOneBit; e != want {
					t.Fatalf("lengths %v: symbol %d has the entry %#x, want %#x", lengths, symbol, e, want)
				}
			}
		}
	}
}

// lengthBase and distBase follow from the extra bits.
func TestBasesFollowFromExtraBits(t *testing.T) {
	next := 3
	for i, extra := range lengthExtra[:28] {
		if int(lengthBase[i]) != next {
			t.Errorf("length symbol %d: base %d, want %d", 257+i, lengthBase[i], next)
		}
		next += 1 << extra
	}
	if lengthBase[28] != 258 || lengthExtra[28] != 0 {
		t.Errorf("the longest length is %d, with %d extra bits", lengthBase[28], lengthExtra[28])
	}
	next = 1
	for i, extra := range distExtra {
		if int(distBase[i]) != next {
			t.Errorf("distance symbol %d: base %d, want %d", i, distBase[i], next)
		}
		next += 1 << extra
	}
	if next != 1<<15+1 {
		t.Errorf("distances reach %d", next-1)
	}
}
