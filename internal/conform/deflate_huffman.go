package conform

import (
	"math/bits"
	"slices"
)

// code is a Huffman code to write with. Its bits are in the order in which they are sent: the first is the lowest.
type code struct {
	bits   [litSymbols + 2]uint16
	length [litSymbols + 2]uint8

	// What fit works with.
	used   []uint32               // symbols with their counts, the rarest first
	weight [2 * litSymbols]uint32 // of the nodes of the tree: the symbols first
	parent [2 * litSymbols]uint16
	depth  [2 * litSymbols]uint8
}

// fixedCodes are the codes of RFC 1951, Section 3.2.6.
var fixedCodes = makeFixedCodes()

func makeFixedCodes() (c struct{ lit, dist code }) {
	lit, dist := fixedLengths()
	copy(c.lit.length[:], lit[:])
	copy(c.dist.length[:], dist[:])
	c.lit.assign()
	c.dist.assign()
	return c
}

// fit makes c the best code with lengths up to longest for symbols with these counts, 1<<16 less one in all at most.
//
// At least two symbols get a code, so that the code is complete: the RFC allows less, but not every decoder does.
func (c *code) fit(count []uint32, longest int) {
	c.used = c.used[:0]
	for sym, n := range count {
		if n > 0 {
			c.used = append(c.used, n<<16|uint32(sym))
		}
	}
	for sym := uint32(0); len(c.used) < 2; sym++ {
		if count[sym] == 0 {
			c.used = append(c.used, 1<<16|sym)
		}
	}
	slices.Sort(c.used)
	lengths := c.lengths(longest)
	clear(c.length[:])
	at := 0
	for n := longest; n > 0; n-- {
		for range lengths[n] {
			c.length[uint16(c.used[at])] = uint8(n)
			at++
		}
	}
	c.assign()
}

// lengths returns how many codes of each length Huffman's tree for c.used has, none longer than longest.
func (c *code) lengths(longest int) (count [maxCodeBits + 1]int) {
	leaves := len(c.used)
	for i, u := range c.used {
		c.weight[i] = u >> 16
	}
	// Both the symbols that have no parent yet and the nodes that have none are in order of their weight.
	leaf, inner, nodes := 0, leaves, leaves
	lightest := func() int {
		if leaf < leaves && (inner == nodes || c.weight[leaf] <= c.weight[inner]) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for ; nodes < 2*leaves-1; nodes++ {
		a := lightest()
		b := lightest()
		c.weight[nodes] = c.weight[a] + c.weight[b]
		c.parent[a], c.parent[b] = uint16(nodes), uint16(nodes)
	}
	c.depth[nodes-1] = 0
	space := 0 // that the codes take, in units of the longest
	for i := nodes - 2; i >= 0; i-- {
		c.depth[i] = c.depth[c.parent[i]] + 1
		if i < leaves {
			n := min(int(c.depth[i]), longest)
			count[n]++
			space += 1 << (longest - n)
		}
	}
	// Codes that were cut take too much: a code that is one bit longer makes room for one of the longest beside it.
	for ; space > 1<<longest; space-- {
		n := longest - 1
		for count[n] == 0 {
			n--
		}
		count[n]--
		count[n+1] += 2
		count[longest]--
	}
	return count
}

// assign sets the codes by their lengths (RFC 1951, Section 3.2.2).
func (c *code) assign() {
	var count, next [maxCodeBits + 1]uint16
	for _, n := range c.length {
		count[n]++
	}
	count[0] = 0
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for sym, n := range c.length {
		if n > 0 {
			c.bits[sym] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// codeHeader is what a block with dynamic Huffman codes begins with (RFC 1951, Section 3.2.7).
type codeHeader struct {
	nlit, ndist, ncl int
	lengths          []uint8   // of the codes, literals and lengths first
	runs             []runItem // the same with repetitions
	count            [clSymbols]uint32
	cl               code
}

// runItem is a symbol of the alphabet for code lengths with its extra bits.
type runItem struct{ sym, extra uint8 }

// clExtra is how many extra bits the symbols from 16 on have.
var clExtra = [clSymbols]uint8{16: 2, 17: 3, 18: 7}

// prepare makes h the header for these codes and returns its length in bits, without the block's type.
func (h *codeHeader) prepare(lit, dist *code) int {
	h.nlit, h.ndist = litSymbols, distSymbols
	for lit.length[h.nlit-1] == 0 {
		h.nlit--
	}
	for dist.length[h.ndist-1] == 0 {
		h.ndist--
	}
	h.lengths = append(append(h.lengths[:0], lit.length[:h.nlit]...), dist.length[:h.ndist]...)
	h.repetitions()
	h.cl.fit(h.count[:], maxClBits)
	h.ncl = clSymbols
	for h.cl.length[clOrder[h.ncl-1]] == 0 {
		h.ncl--
	}
	size := 14 + 3*h.ncl
	for sym, n := range h.count {
		size += int(n) * int(h.cl.length[sym]+clExtra[sym])
	}
	return size
}

// repetitions sets runs and count.
func (h *codeHeader) repetitions() {
	h.runs = h.runs[:0]
	clear(h.count[:])
	for i := 0; i < len(h.lengths); {
		value, n := h.lengths[i], 1
		for i+n < len(h.lengths) && h.lengths[i+n] == value {
			n++
		}
		i += n
		if value != 0 {
			h.add(value, 0)
			n--
		}
		for n >= 3 {
			var part int
			switch {
			case value != 0:
				part = min(n, 6)
				h.add(16, uint8(part-3))
			case n <= 10:
				part = n
				h.add(17, uint8(part-3))
			default:
				part = min(n, 138)
				h.add(18, uint8(part-11))
			}
			n -= part
		}
		for ; n > 0; n-- {
			h.add(value, 0)
		}
	}
}

func (h *codeHeader) add(sym, extra uint8) {
	h.runs = append(h.runs, runItem{sym, extra})
	h.count[sym]++
}

// write writes the header, without the block's type.
func (h *codeHeader) write(w *bitWriter) {
	w.put(uint64(h.nlit-257), 5)
	w.put(uint64(h.ndist-1), 5)
	w.put(uint64(h.ncl-4), 4)
	for _, sym := range clOrder[:h.ncl] {
		w.put(uint64(h.cl.length[sym]), 3)
	}
	for _, r := range h.runs {
		w.put(uint64(h.cl.bits[r.sym]), uint(h.cl.length[r.sym]))
		w.put(uint64(r.extra), uint(clExtra[r.sym]))
	}
}
