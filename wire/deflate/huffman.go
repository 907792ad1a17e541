package deflate

import "math/bits"

// A prefixCode is one symbol's code: its length in bits 0-7, and above it the
// bits in the order in which they are sent, first bit lowest.
type prefixCode uint32

func (c prefixCode) len() uint    { return uint(c & 0xff) }
func (c prefixCode) bits() uint64 { return uint64(c >> 8) }

// assignCodes computes the canonical code of RFC 1951, Section 3.2.2 from code
// lengths. A symbol of length 0 has no code.
func assignCodes(codes []prefixCode, length []uint8) {
	var count, next [maxCodeBits + 1]uint16
	for _, n := range length {
		count[n&15]++
	}
	count[0] = 0
	code := uint16(0)
	for n := 1; n <= maxCodeBits; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
	}
	codes = codes[:len(length)]
	for i, n := range length {
		n &= 15
		reversed := bits.Reverse16(next[n]) >> ((16 - n) & 15)
		next[n]++
		codes[i] = prefixCode(reversed)<<8 | prefixCode(n)
		if n == 0 {
			codes[i] = 0
		}
	}
}

// A codeBuilder holds the scratch memory of buildLengths.
type codeBuilder struct {
	symbols [literalSymbols]uint16 // used symbols, by ascending frequency
	weight  [literalSymbols]uint32 // their frequencies, then depths
	keys    [literalSymbols]uint32
	count   [sortBuckets + 1]uint16
}

// sortBuckets is the number of frequencies that are sorted by counting. Higher
// frequencies share the last bucket and are sorted by insertion: few symbols
// have one.
const sortBuckets = 128

// buildLengths stores in length the code lengths of a Huffman code for symbols
// of frequencies freq, none longer than limit. At least two symbols get a code,
// as some inflaters reject a code of one symbol.
func (b *codeBuilder) buildLengths(length []uint8, freq []uint32, limit int) {
	clear(length)
	n := b.sortSymbols(freq)
	if n < 2 {
		length[0], length[1] = 1, 1
		if n == 1 && b.symbols[0] > 1 {
			length[1] = 0
			length[b.symbols[0]] = 1
		}
		return
	}
	depths := b.weight[:n]
	huffmanDepths(depths)

	// depths falls from left to right. Count the codes of each length, and
	// shorten those over the limit until the code is a prefix code again
	// (Kraft's sum is 1).
	var count [maxCodeBits + 1]int
	for _, d := range depths {
		count[min(int(d), limit)]++
	}
	if int(depths[0]) > limit {
		sum := 0
		for l := 1; l <= limit; l++ {
			sum += count[l] << (limit - l)
		}
		for ; sum > 1<<limit; sum-- {
			l := limit - 1
			for count[l] == 0 {
				l--
			}
			count[l]--
			count[l+1] += 2
			count[limit]--
		}
	}
	i := 0
	for l := limit; l > 0; l-- {
		for range count[l] {
			length[b.symbols[i]] = uint8(l)
			i++
		}
	}
}

// sortSymbols stores the symbols of frequency > 0 and their frequencies in
// b.symbols and b.weight, by ascending frequency. It returns their number.
func (b *codeBuilder) sortSymbols(freq []uint32) int {
	n := 0
	clear(b.count[:])
	for s, f := range freq {
		if f != 0 {
			b.keys[n] = f<<9 | uint32(s)
			n++
			b.count[min(f, sortBuckets)]++
		}
	}
	at := uint16(0)
	for i, c := range b.count {
		b.count[i] = at
		at += c
	}
	last := int(b.count[sortBuckets])
	for _, k := range b.keys[:n] {
		f := min(k>>9, sortBuckets)
		i := b.count[f]
		b.count[f]++
		b.weight[i] = k
	}
	high := b.weight[last:n]
	for i := 1; i < len(high); i++ {
		k := high[i]
		j := i
		for ; j > 0 && high[j-1] > k; j-- {
			high[j] = high[j-1]
		}
		high[j] = k
	}
	for i, k := range b.weight[:n] {
		b.symbols[i] = uint16(k & 0x1ff)
		b.weight[i] = k >> 9
	}
	return n
}

// huffmanDepths replaces the weights in a, which ascend, with the depths of
// their leaves in a Huffman tree: "In-Place Calculation of Minimum-Redundancy
// Codes", Moffat and Katajainen, 1995. len(a) is at least 2.
func huffmanDepths(a []uint32) {
	n := len(a)

	// First pass, left to right: build the tree. a[next] becomes an inner node's
	// weight, later the index of its parent.
	a[0] += a[1]
	root, leaf := 0, 2
	for next := 1; next < n-1; next++ {
		var sum uint32
		for range 2 {
			if leaf >= n || root < next && a[root] < a[leaf] {
				sum += a[root]
				a[root] = uint32(next)
				root++
			} else {
				sum += a[leaf]
				leaf++
			}
		}
		a[next] = sum
	}

	// Second pass, right to left: depths of the inner nodes.
	a[n-2] = 0
	for next := n - 3; next >= 0; next-- {
		a[next] = a[a[next]] + 1
	}

	// Third pass, right to left: depths of the leaves.
	available, used, depth := 1, 0, uint32(0)
	root, next := n-2, n-1
	for available > 0 {
		for root >= 0 && a[root] == depth {
			used++
			root--
		}
		for available > used {
			a[next] = depth
			next--
			available--
		}
		available = 2 * used
		depth++
		used = 0
	}
}
