package deflate

import (
	"bytes"
	"container/heap"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// Codes are prefix codes within the limit, and as small as an unlimited Huffman
// code if that is within the limit.
func TestHuffmanCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b codeBuilder
	for round := range 3000 {
		symbols := 2 + r.IntN(literalSymbols-1)
		freq := make([]uint16, (symbols+3)&^3)
		kind := r.IntN(4)
		for i := range symbols {
			switch {
			case r.IntN(3) > 0 && kind != 0:
			case kind == 3: // Fibonacci numbers make the longest codes
				freq[i] = fibonacci(i % 22)
			default:
				freq[i] = uint16(1 + r.IntN(1<<r.IntN(14)))
			}
		}
		limit := maxCodeBits
		if symbols <= 30 && r.IntN(2) == 0 {
			limit = maxCodeLengthBits
		}
		checkCode(t, &b, freq, limit)
		if t.Failed() {
			t.Fatalf("round %d, limit %d: %d", round, limit, freq)
		}
	}
}

// A code has at least two symbols.
func TestCodeOfFewSymbols(t *testing.T) {
	var b codeBuilder
	for s := -1; s < distSymbols; s++ {
		freq := make([]uint16, distSymbols+2)
		if s >= 0 {
			freq[s] = 7
		}
		checkCode(t, &b, freq, maxCodeBits)
	}
}

func fibonacci(n int) uint16 {
	a, b := uint16(1), uint16(1)
	for range n {
		a, b = b, a+b
	}
	return a
}

func checkCode(t *testing.T, b *codeBuilder, freq []uint16, limit int) {
	codes := make([]prefixCode, len(freq))
	used, size := b.build(codes, freq, limit, make([]usedSymbol, 0, literalSymbols))
	sum, bits, count := 0, 0, 0
	for s, c := range codes {
		if freq[s] > 0 && c.len() == 0 {
			t.Errorf("symbol %d of frequency %d has no code", s, freq[s])
		}
		if c.len() == 0 {
			continue
		}
		if int(c.len()) > limit {
			t.Errorf("symbol %d has a code of %d bits", s, c.len())
		}
		if count >= len(used) || used[count] != usedSymbol(s) {
			t.Errorf("symbol %d is not element %d of %d", s, count, used)
		}
		count++
		sum += 1 << (maxCodeBits - c.len())
		bits += int(freq[s]) * int(c.len())
	}
	if sum != 1<<maxCodeBits {
		t.Errorf("Kraft's sum is %d of %d", sum, 1<<maxCodeBits)
	}
	if bits != size || count != len(used) {
		t.Errorf("size %d, symbols %d, want %d, %d", size, len(used), bits, count)
	}
	best, longest := naiveHuffman(freq)
	if longest <= limit && bits != best || bits < best {
		t.Errorf("size %d, want %d", bits, best)
	}
}

// naiveHuffman returns the size of a Huffman code and its longest code.
func naiveHuffman(freq []uint16) (size, longest int) {
	var h nodes
	for _, f := range freq {
		if f > 0 {
			h = append(h, node{int(f), 0})
		}
	}
	heap.Init(&h)
	for h.Len() > 1 {
		a, b := heap.Pop(&h).(node), heap.Pop(&h).(node)
		size += a.weight + b.weight
		heap.Push(&h, node{a.weight + b.weight, 1 + max(a.height, b.height)})
	}
	if len(h) == 1 && h[0].height == 0 {
		return h[0].weight, 1
	}
	if len(h) == 0 {
		return 0, 1
	}
	return size, h[0].height
}

type node struct{ weight, height int }

type nodes []node

func (h nodes) Len() int { return len(h) }
func (h nodes) Less(i, j int) bool {
	return h[i].weight < h[j].weight || h[i].weight == h[j].weight && h[i].height < h[j].height
}
func (h nodes) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *nodes) Push(x any)   { *h = append(*h, x.(node)) }
func (h *nodes) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// The codes of lengths and distances are those of the decoder's tables.
func TestEncoderAndDecoderTablesAgree(t *testing.T) {
	for length := 3; length <= maxMatch; length++ {
		c := makeLengthCode(length)
		s := c.symbol()
		if int(lengthBase[s])+int(c.extra()) != length || c.extraBits() != uint(lengthExtra[s]) || c.extra()>>c.extraBits() != 0 {
			t.Errorf("length %d: symbol %d, %d extra bits %b", length, s, c.extraBits(), c.extra())
		}
	}
	for dist := uint32(1); dist <= 1<<MaxWindowBits; dist++ {
		s, n := distCode(dist - 1)
		if uint32(distBase[s])+(dist-1)&(1<<n-1) != dist || n != uint(distExtra[s]) {
			t.Errorf("distance %d: symbol %d, %d extra bits", dist, s, n)
		}
	}
}

// The memory that a processor needs to compress.
func TestEncoderSize(t *testing.T) {
	if n := unsafe.Sizeof(encoder{}); n > 320<<10 {
		t.Errorf("an encoder has %d bytes, want at most %d", n, 320<<10)
	} else {
		t.Logf("an encoder has %d bytes", n)
	}
}

// The run-length encoding of code lengths is that of RFC 1951, Section 3.2.7, and
// no run that could be longer is cut.
func TestCodeLengthRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var h codeHeader
	h.setZeros()
	for range 2000 {
		var last repetition
		var want []uint8
		h.nruns, h.freq = 0, [codeSymbols + 1]uint16{}
		for _, symbols := range []int{literalSymbols, distSymbols} {
			codes := make([]prefixCode, symbols)
			var used []usedSymbol
			for s := r.IntN(symbols); s < symbols; {
				length := prefixCode(1 + r.IntN(maxCodeBits))
				for n := 1 + r.IntN(1+r.IntN(20)); n > 0 && s < symbols; n-- {
					codes[s] = length
					used = append(used, usedSymbol(s))
					s++
				}
				s += r.IntN(2) * r.IntN(1+r.IntN(150))
			}
			for _, c := range codes[:used[len(used)-1]+1] {
				want = append(want, uint8(c.len()))
			}
			last = h.addLengths(last, codes, used)
		}

		var got []uint8
		freq := [codeSymbols + 1]uint16{}
		for _, run := range h.runs[:h.nruns] {
			symbol, extra := uint8(run&31), int(run>>8)
			freq[symbol]++
			n := 1
			switch symbol {
			case repeatPrevious:
				symbol, n = got[len(got)-1], 3+extra
			case repeatZero:
				symbol, n = 0, 3+extra
			case repeatZeros:
				symbol, n = 0, 11+extra
			}
			got = append(got, bytes.Repeat([]byte{symbol}, n)...)
		}
		if !bytes.Equal(got, want) || freq != h.freq {
			t.Fatalf("lengths %d become %d, of frequencies %d, want %d", want, got, h.freq, freq)
		}
		if n := shortestRuns(want); h.nruns > n {
			t.Fatalf("lengths %d take %d symbols, want %d", want, h.nruns, n)
		}
	}
}

// shortestRuns returns the number of symbols for lengths if each run is encoded
// from its beginning with the longest repetitions.
func shortestRuns(lengths []uint8) (symbols int) {
	for i := 0; i < len(lengths); {
		n := 1
		for i+n < len(lengths) && lengths[i+n] == lengths[i] {
			n++
		}
		most := maxZeros
		left := n
		if lengths[i] != 0 {
			most = 6
			symbols++
			left--
		}
		for ; left >= 3; left -= min(left, most) {
			symbols++
		}
		symbols += left
		i += n
	}
	return symbols
}
