package deflate

import "math/bits"

// A prefixCode is one symbol's code: its length in bits 0-7, and above it the
// bits in the order in which they are sent, first bit lowest.
type prefixCode uint32

func (c prefixCode) len() uint    { return uint(c & 0xff) }
func (c prefixCode) bits() uint64 { return uint64(c >> 8) }

// A canonicalCode assigns the codes of RFC 1951, Section 3.2.2. count[n] is the
// number of codes of length n.
type canonicalCode struct {
	next [maxCodeBits + 1]uint16
}

func newCanonicalCode(count *[maxCodeBits + 1]uint16) (c canonicalCode) {
	for n := 2; n <= maxCodeBits; n++ {
		c.next[n] = (c.next[n-1] + count[n-1]) << 1
	}
	return c
}

// assign returns the next code of length n. Symbols are assigned in ascending
// order.
func (c *canonicalCode) assign(n uint8) prefixCode {
	n &= maxCodeBits
	code := c.next[n]
	c.next[n]++
	return prefixCode(bits.Reverse16(code)>>((16-n)&15))<<8 | prefixCode(n)
}

// A codeBuilder builds Huffman codes. Its fields are scratch memory and the
// result of the last build.
type codeBuilder struct {
	symbols [literalSymbols]uint16 // used symbols, by ascending frequency
	weight  [literalSymbols]uint32 // their frequencies, then depths
	keys    [literalSymbols]uint32 // symbols and frequencies, by ascending symbol
	length  [512]uint8             // code lengths of used symbols
	count   [sortBuckets + 1]uint16
	top     uint32 // last bucket in use
}

// sortBuckets is the number of frequencies that are sorted by counting. Higher
// frequencies share the last bucket and are sorted by insertion: few symbols
// have one.
const sortBuckets = 64

// A usedSymbol is a symbol that has a code.
type usedSymbol uint16

// build stores in codes a Huffman code for the symbols of frequencies freq, no
// code longer than limit, and appends the symbols that have a code to used, in
// ascending order. It returns used and the size in bits of all symbols. At least
// two symbols get a code, as some inflaters reject a code of one symbol. Codes of
// other symbols are not changed.
func (b *codeBuilder) build(codes []prefixCode, freq []uint32, limit int, used []usedSymbol) ([]usedSymbol, int) {
	n := b.collect(freq)
	if n < 2 {
		n = b.addSymbols(n)
	}
	b.sort(n)
	depths := b.weight[:n]
	huffmanDepths(depths)

	// depths falls from left to right. Count the codes of each length, and
	// shorten those over the limit until the code is a prefix code again
	// (Kraft's sum is 1).
	var count [maxCodeBits + 1]uint16
	for _, d := range depths {
		count[min(int(d), limit)&maxCodeBits]++
	}
	if int(depths[0]) > limit {
		limitLengths(&count, limit)
	}
	symbols := b.symbols[:n]
	for l := limit; l > 0; l-- {
		for range count[l] {
			b.length[symbols[0]&511] = uint8(l)
			symbols = symbols[1:]
		}
	}

	size := 0
	canonical := newCanonicalCode(&count)
	for _, k := range b.keys[:n] {
		s := k & 0x1ff
		l := b.length[s]
		size += int(k>>9) * int(l)
		codes[s] = canonical.assign(l)
		used = append(used, usedSymbol(s))
	}
	return used, size
}

// limitLengths makes a prefix code again of the lengths in count, some of which
// were longer and are counted as limit.
func limitLengths(count *[maxCodeBits + 1]uint16, limit int) {
	sum := 0
	for l := 1; l <= limit; l++ {
		sum += int(count[l]) << (limit - l)
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

// collect stores the symbols of frequency > 0 in b.keys and returns their
// number.
func (b *codeBuilder) collect(freq []uint32) int {
	clear(b.count[:])
	top := uint32(0)
	n := 0
	for s := 0; s < len(freq); s++ {
		// Most messages use few of the symbols.
		if s+4 <= len(freq) && freq[s]|freq[s+1]|freq[s+2]|freq[s+3] == 0 {
			s += 3
			continue
		}
		if f := freq[s]; f != 0 {
			b.keys[n] = f<<9 | uint32(s)
			n++
			bucket := min(f, sortBuckets)
			b.count[bucket]++
			top = max(top, bucket)
		}
	}
	b.top = top
	return n
}

// addSymbols adds symbols of frequency 0 to b.keys, which has n, up to 2.
func (b *codeBuilder) addSymbols(n int) int {
	switch {
	case n == 0:
		b.keys[0], b.keys[1] = 0, 1
		b.count[0] = 2
	case b.keys[0]&0x1ff == 0:
		b.keys[1] = 1
		b.count[0] = 1
	default:
		b.keys[1] = b.keys[0]
		b.keys[0] = 0
		b.count[0] = 1
	}
	return 2
}

// sort stores the n symbols of b.keys and their frequencies in b.symbols and
// b.weight, by ascending frequency.
func (b *codeBuilder) sort(n int) {
	at := uint16(0)
	for i, c := range b.count[:b.top+1] {
		b.count[i] = at
		at += c
	}
	first := n // of the last bucket
	if b.top == sortBuckets {
		first = int(b.count[sortBuckets])
	}
	for _, k := range b.keys[:n] {
		f := min(k>>9, sortBuckets)
		b.weight[b.count[f]] = k
		b.count[f]++
	}
	high := b.weight[first:n]
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
