package deflate

import (
	"math"
	"math/bits"
)

// A prefixCode is one symbol's code: its length in bits 0-7, and above it the
// bits in the order in which they are sent, first bit lowest.
type prefixCode uint32

func (c prefixCode) len() uint    { return uint(c & 0xff) }
func (c prefixCode) bits() uint64 { return uint64(c >> 8) }

// A canonicalCode assigns the codes of RFC 1951, Section 3.2.2.
type canonicalCode struct {
	next [maxCodeBits + 1]uint16 // of each length; the first bit is the highest
}

// newCanonicalCode returns a code that has count[n] codes of length n.
func newCanonicalCode(count *[maxCodeBits + 1]uint16) (c canonicalCode) {
	next := uint16(0)
	for n := 1; n <= maxCodeBits; n++ {
		c.next[n] = next
		next += count[n] << (16 - n)
	}
	return c
}

// assign returns the next code of length n. Symbols are assigned in ascending
// order.
func (c *canonicalCode) assign(n uint8) prefixCode {
	n &= maxCodeBits
	code := c.next[n]
	c.next[n] = code + 1<<(16-n)
	return prefixCode(bits.Reverse16(code))<<8 | prefixCode(n)
}

// A codeBuilder builds Huffman codes. Its fields are scratch memory.
//
// Arrays have a power of two of elements where indexes are masked, so that the
// compiler needs no bounds check. The loops over symbols have no branches that
// depend on frequencies: a processor cannot predict these.
type codeBuilder struct {
	keys   [512]uint32 // frequencies above bit 9 and symbols, by ascending symbol
	sorted [512]uint32 // the same, by ascending frequency
	count  [sortBuckets + 1]uint16
	top    uint32 // last bucket in use

	weight [512]uint32 // of the inner nodes of the tree
	child  [512]uint16 // of the inner nodes: how many are children of those before
	length [512]uint8  // code lengths of used symbols
}

const (
	// sortBuckets is the number of frequencies that are sorted by counting. Higher
	// frequencies share the last bucket and are sorted by insertion: few symbols
	// have one.
	sortBuckets = 64

	symbolBits = 9 // of a key
	symbolMask = 1<<symbolBits - 1

	// noLeaf and noNode are more than the weight of any tree.
	noLeaf = math.MaxUint32
	noNode = math.MaxInt32
)

// A usedSymbol is a symbol that has a code.
type usedSymbol uint16

// build stores in codes a Huffman code for the symbols of frequencies freq, no
// code longer than limit, and appends the symbols that have a code to used, in
// ascending order. It returns used and the size in bits of all symbols. At least
// two symbols get a code, as some inflaters reject a code of one symbol. Codes of
// other symbols are not changed.
//
// len(freq) is a multiple of 4, and used has the capacity. The frequencies sum to
// less than 1<<23.
func (b *codeBuilder) build(codes []prefixCode, freq []uint16, limit int, used []usedSymbol) ([]usedSymbol, int) {
	n := b.collect(freq)
	if n < 2 {
		n = b.addSymbols(n)
	}
	b.sort(n)
	size, count := b.lengths(n, limit)
	canonical := newCanonicalCode(&count)
	before := len(used)
	used = used[:before+n]
	for i, k := range b.keys[:n] {
		s := k & symbolMask
		codes[s] = canonical.assign(b.length[s])
		used[before+i] = usedSymbol(s)
	}
	return used, size
}

// collect stores the symbols of frequency > 0 in b.keys and returns their
// number.
func (b *codeBuilder) collect(freq []uint16) int {
	clear(b.count[:])
	top, n := uint32(0), uint32(0)
	for s := 0; s+4 <= len(freq); s += 4 {
		// Most messages use few of the symbols.
		four := freq[s : s+4]
		if uint64(four[0])|uint64(four[1])<<16|uint64(four[2])<<32|uint64(four[3])<<48 == 0 {
			continue
		}
		for i, f := range four {
			f := uint32(f)
			b.keys[n&511] = f<<symbolBits | uint32(s+i)
			n += (f + math.MaxUint16) >> 16 // unless f is 0
			b.count[min(f, sortBuckets)]++
			top = max(top, f)
		}
	}
	b.count[0] = 0
	b.top = min(top, sortBuckets)
	return int(n)
}

// addSymbols adds symbols of frequency 0 to b.keys, which has n, up to 2.
func (b *codeBuilder) addSymbols(n int) int {
	switch {
	case n == 0:
		b.keys[0], b.keys[1] = 0, 1
		b.count[0] = 2
	case b.keys[0]&symbolMask == 0:
		b.keys[1] = 1
		b.count[0] = 1
	default:
		b.keys[1] = b.keys[0]
		b.keys[0] = 0
		b.count[0] = 1
	}
	return 2
}

// sort stores the n elements of b.keys in b.sorted, by ascending frequency.
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
		bucket := &b.count[min(k>>symbolBits, sortBuckets)]
		b.sorted[*bucket&511] = k
		*bucket++
	}
	high := b.sorted[first:n]
	for i := 1; i < len(high); i++ {
		k := high[i]
		j := i
		for ; j > 0 && high[j-1] > k; j-- {
			high[j] = high[j-1]
		}
		high[j] = k
	}
}

// lengths stores in b.length the lengths of a Huffman code for the n symbols of
// b.sorted. It returns the size in bits of all symbols, and the number of codes
// of each length.
func (b *codeBuilder) lengths(n, limit int) (size int, count [maxCodeBits + 1]uint16) {
	size = b.buildTree(n)

	// The inner nodes of one depth follow each other, the deepest ones first:
	// first[d+1] is the first node of depth d, and 0 beyond the deepest. Its
	// children follow those of all deeper nodes. At depth 32, a tree has a weight
	// of 1<<23 or more.
	var first [64]uint16
	first[0], first[1] = uint16(n-1), uint16(n-2)
	for d := 1; first[d&63] != 0; d++ {
		first[(d+1)&63] = b.child[first[d&63]&511]
	}

	// Each inner node has two children at the next depth. Codes over the limit
	// are shortened until the code is a prefix code again (Kraft's sum is 1).
	left := uint16(n)
	for l := 1; l < limit; l++ {
		leaves := 2*(first[l-1]-first[l]) - (first[l] - first[l+1])
		count[l&maxCodeBits] = leaves
		left -= leaves
	}
	count[limit&maxCodeBits] = left
	exceeded := first[limit&maxCodeBits] != 0
	if exceeded {
		limitLengths(&count, limit)
	}
	i := 0
	for l := limit; l > 0; l-- {
		for range count[l&maxCodeBits] { // the rarest symbols have the longest codes
			b.length[b.sorted[i&511]&symbolMask] = uint8(l)
			i++
		}
	}
	if exceeded {
		size = 0
		for _, k := range b.keys[:n] {
			size += int(k>>symbolBits) * int(b.length[k&symbolMask])
		}
	}
	return size, count
}

// buildTree builds the Huffman tree of the n symbols of b.sorted, at least 2: it
// sets b.child of the n-1 inner nodes, of which the last is the root. It returns
// the sum of their weights, which is the size in bits of all symbols.
func (b *codeBuilder) buildTree(n int) (size int) {
	// Nodes are made in ascending order of their weights. So the next node has
	// the two least of two leaves and two inner nodes.
	b.sorted[n&511], b.sorted[(n+1)&511] = noLeaf, noLeaf
	b.weight[0], b.weight[1] = noNode, noNode
	node := 0 // the first without a parent
	for i := range n - 1 {
		leaf := 2*i - node
		leaf0, leaf1 := b.sorted[leaf&511]>>symbolBits, b.sorted[(leaf+1)&511]>>symbolBits
		node0, node1 := b.weight[node&511], b.weight[(node+1)&511]
		b.child[i&511] = uint16(node)
		node += int((node0-leaf1)>>31 + (node1-leaf0)>>31) // the highest bit is set if it is less
		sum := min(leaf0+leaf1, leaf0+node0, node0+node1)
		b.weight[i&511], b.weight[(i+2)&511] = sum, noNode
		size += int(sum)
	}
	return size
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
