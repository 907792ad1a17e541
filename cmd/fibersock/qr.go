package main

import (
	"fmt"
	"math"
	"strings"
)

// A QR code (ISO/IEC 18004) of a text in byte mode, with error correction level
// M. Versions 1 to 20 are enough for a URL.

// qrCheck has the check codewords of a block and the number of blocks, of level
// M by version (ISO/IEC 18004, Table 9).
var qrCheck = [...]struct{ codewords, blocks int }{
	1: {10, 1}, {16, 1}, {26, 1}, {18, 2}, {24, 2}, {16, 4}, {18, 4}, {22, 4}, {22, 5}, {26, 5},
	{30, 5}, {22, 8}, {22, 9}, {24, 9}, {24, 10}, {28, 10}, {28, 11}, {26, 13}, {26, 14}, {26, 16},
}

// qrCode is a symbol without its quiet zone.
type qrCode struct {
	version int
	size    int    // modules of a side
	dark    []bool // by row
	fixed   []bool // modules of the patterns, which have no data
}

// newQR returns the smallest symbol for text, with the mask of the least
// penalty.
func newQR(text string) (*qrCode, error) {
	for version := 1; version < len(qrCheck); version++ {
		if data := qrData(text, version); data != nil {
			return drawQR(version, qrInterleave(data, version), -1), nil
		}
	}
	return nil, fmt.Errorf("QR code: text of %d bytes exceeds 666", len(text))
}

// qrCodewords returns the codewords of a version: all, and those of data.
func qrCodewords(version int) (all, data int) {
	modules := (16*version+128)*version + 64
	if version >= 2 {
		n := version/7 + 2 // alignment patterns of a side
		modules -= (25*n-10)*n - 55
	}
	if version >= 7 {
		modules -= 36
	}
	all = modules / 8
	return all, all - qrCheck[version].codewords*qrCheck[version].blocks
}

// qrData returns the data codewords of text, nil if the version is too small.
func qrData(text string, version int) []byte {
	_, size := qrCodewords(version)
	var b qrBits
	b.add(0b0100, 4) // byte mode
	if version < 10 {
		b.add(len(text), 8)
	} else {
		b.add(len(text), 16)
	}
	if b.n+8*len(text) > 8*size {
		return nil
	}
	for _, c := range []byte(text) {
		b.add(int(c), 8)
	}
	b.add(0, min(4, 8*size-b.n)) // terminator
	b.add(0, -b.n&7)
	for pad := 0xec; b.n < 8*size; pad ^= 0xec ^ 0x11 {
		b.add(pad, 8)
	}
	return b.bytes
}

// qrBits is a sequence of n bits.
type qrBits struct {
	bytes []byte
	n     int
}

func (b *qrBits) add(value, width int) {
	for i := width - 1; i >= 0; i-- {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(value>>i&1) << (7 - b.n%8)
		b.n++
	}
}

// qrInterleave divides data into blocks, adds the check codewords and returns
// the codewords in the order of the symbol.
func qrInterleave(data []byte, version int) []byte {
	check := qrCheck[version]
	generator := qrGenerator(check.codewords)
	blocks, checks := make([][]byte, check.blocks), make([][]byte, check.blocks)
	short := len(data) / check.blocks
	long := len(data) % check.blocks // blocks at the end that have one more
	rest := data
	for i := range blocks {
		n := short
		if i >= check.blocks-long {
			n++
		}
		blocks[i], rest = rest[:n], rest[n:]
		checks[i] = qrRemainder(blocks[i], generator)
	}
	var all []byte
	for _, part := range [][][]byte{blocks, checks} {
		for i := range part[len(part)-1] {
			for _, block := range part {
				if i < len(block) {
					all = append(all, block[i])
				}
			}
		}
	}
	return all
}

// qrMultiply multiplies in the field of 256 elements with x⁸+x⁴+x³+x²+1.
func qrMultiply(a, b byte) byte {
	var product int
	for i := 7; i >= 0; i-- {
		product = product<<1 ^ product>>7*0x11d
		product ^= int(b>>i&1) * int(a)
	}
	return byte(product)
}

// qrGenerator returns the coefficients of (x-1)(x-2)(x-4)…, of that degree,
// without the first.
func qrGenerator(degree int) []byte {
	g := make([]byte, degree)
	g[degree-1] = 1
	root := byte(1)
	for range degree {
		for j := range g {
			g[j] = qrMultiply(g[j], root)
			if j+1 < degree {
				g[j] ^= g[j+1]
			}
		}
		root = qrMultiply(root, 2)
	}
	return g
}

// qrRemainder returns the check codewords of a block.
func qrRemainder(data, generator []byte) []byte {
	rest := make([]byte, len(generator))
	for _, b := range data {
		factor := b ^ rest[0]
		copy(rest, rest[1:])
		rest[len(rest)-1] = 0
		for i, g := range generator {
			rest[i] ^= qrMultiply(g, factor)
		}
	}
	return rest
}

// drawQR draws a symbol with the mask, or with the best one if it is negative.
func drawQR(version int, codewords []byte, mask int) *qrCode {
	size := 17 + 4*version
	q := &qrCode{version: version, size: size, dark: make([]bool, size*size), fixed: make([]bool, size*size)}
	q.drawPatterns()
	q.drawCodewords(codewords)
	if mask < 0 {
		least := math.MaxInt
		for m := range 8 {
			q.mask(m)
			q.drawFormat(m)
			if p := q.penalty(); p < least {
				mask, least = m, p
			}
			q.mask(m) // a second time restores the data
		}
	}
	q.mask(mask)
	q.drawFormat(mask)
	return q
}

func (q *qrCode) at(x, y int) bool { return q.dark[y*q.size+x] }

// fix sets a module of a pattern.
func (q *qrCode) fix(x, y int, dark bool) {
	if x >= 0 && x < q.size && y >= 0 && y < q.size {
		q.dark[y*q.size+x] = dark
		q.fixed[y*q.size+x] = true
	}
}

// rings draws a square pattern around a module. colors has the ring at each
// distance, the center first.
func (q *qrCode) rings(x, y int, colors string) {
	last := len(colors) - 1
	for dy := -last; dy <= last; dy++ {
		for dx := -last; dx <= last; dx++ {
			q.fix(x+dx, y+dy, colors[max(dx, -dx, dy, -dy)] == '#')
		}
	}
}

func (q *qrCode) drawPatterns() {
	for i := range q.size {
		q.fix(6, i, i%2 == 0)
		q.fix(i, 6, i%2 == 0)
	}
	end := q.size - 4
	for _, corner := range [][2]int{{3, 3}, {end, 3}, {3, end}} {
		q.rings(corner[0], corner[1], "##.#.")
	}
	centers := q.alignment()
	for i, x := range centers {
		for j, y := range centers {
			// Three of the corners have a finder pattern.
			if last := len(centers) - 1; i == 0 && j == 0 || i == 0 && j == last || i == last && j == 0 {
				continue
			}
			q.rings(x, y, "#.#")
		}
	}
	q.drawFormat(0) // marks its modules
	if q.version < 7 {
		return
	}
	rest := q.version
	for range 12 {
		rest = rest<<1 ^ rest>>11*0x1f25
	}
	value := q.version<<12 | rest
	for i := range 18 {
		dark := value>>i&1 == 1
		q.fix(q.size-11+i%3, i/3, dark)
		q.fix(i/3, q.size-11+i%3, dark)
	}
}

// alignment returns the coordinates of the alignment patterns, the same in both
// directions.
func (q *qrCode) alignment() []int {
	if q.version == 1 {
		return nil
	}
	n := q.version/7 + 2
	step := (q.version*8 + n*3 + 5) / (n*4 - 4) * 2
	centers := make([]int, n)
	centers[0] = 6
	for i := 1; i < n; i++ {
		centers[i] = q.size - 7 - (n-1-i)*step
	}
	return centers
}

// qrFormat returns the 15 bits of the format: level M is 00.
func qrFormat(mask int) int {
	rest := mask
	for range 10 {
		rest = rest<<1 ^ rest>>9*0x537
	}
	return (mask<<10 | rest) ^ 0x5412
}

func (q *qrCode) drawFormat(mask int) {
	value := qrFormat(mask)
	for i := range 15 {
		dark := value>>i&1 == 1
		switch { // around the finder pattern at the upper left
		case i < 6:
			q.fix(8, i, dark)
		case i < 8:
			q.fix(8, i+1, dark)
		case i == 8:
			q.fix(7, 8, dark)
		default:
			q.fix(14-i, 8, dark)
		}
		if i < 8 { // the copy beside the two others
			q.fix(q.size-1-i, 8, dark)
		} else {
			q.fix(8, q.size-15+i, dark)
		}
	}
	q.fix(8, q.size-8, true)
}

// drawCodewords fills columns of two modules from the right, upward and
// downward in turn. Column 6 belongs to the timing pattern.
func (q *qrCode) drawCodewords(codewords []byte) {
	i := 0
	for right := q.size - 1; right >= 1; right -= 2 {
		if right == 6 {
			right = 5
		}
		upward := (right+1)&2 == 0
		for row := range q.size {
			y := row
			if upward {
				y = q.size - 1 - row
			}
			for x := right; x > right-2; x-- {
				if !q.fixed[y*q.size+x] && i < 8*len(codewords) {
					q.dark[y*q.size+x] = codewords[i/8]>>(7-i%8)&1 == 1
					i++
				}
			}
		}
	}
}

// mask inverts the modules of data that a mask selects.
func (q *qrCode) mask(mask int) {
	for y := range q.size {
		for x := range q.size {
			var n int
			switch mask {
			case 0:
				n = (x + y) % 2
			case 1:
				n = y % 2
			case 2:
				n = x % 3
			case 3:
				n = (x + y) % 3
			case 4:
				n = (x/3 + y/2) % 2
			case 5:
				n = x*y%2 + x*y%3
			case 6:
				n = (x*y%2 + x*y%3) % 2
			case 7:
				n = ((x+y)%2 + x*y%3) % 2
			}
			if i := y*q.size + x; n == 0 && !q.fixed[i] {
				q.dark[i] = !q.dark[i]
			}
		}
	}
}

// penalty measures features that disturb a reader (ISO/IEC 18004, 7.8.3.1).
func (q *qrCode) penalty() int {
	p, dark := 0, 0
	for a := range q.size {
		p += q.linePenalty(func(b int) bool { return q.at(b, a) })
		p += q.linePenalty(func(b int) bool { return q.at(a, b) })
	}
	for y := range q.size {
		for x := range q.size {
			if q.at(x, y) {
				dark++
			}
			if x > 0 && y > 0 && q.at(x, y) == q.at(x-1, y) && q.at(x, y) == q.at(x, y-1) && q.at(x, y) == q.at(x-1, y-1) {
				p += 3
			}
		}
	}
	modules := q.size * q.size
	// Ten for each 5 % that the share of dark modules differs from a half.
	return p + 10*(max(20*dark-10*modules, 10*modules-20*dark)/modules)
}

// linePenalty is that of a row or column: runs of five or more, and patterns
// like those of a finder with a light side.
func (q *qrCode) linePenalty(dark func(int) bool) (p int) {
	run := 0
	window := 0 // the last 11 modules
	for i := range q.size {
		if i > 0 && dark(i) == dark(i-1) {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			p += 3
		case run > 5:
			p++
		}
		window = window << 1 & 0x7ff
		if dark(i) {
			window |= 1
		}
		if i >= 10 && (window == 0b10111010000 || window == 0b00001011101) {
			p += 40
		}
	}
	return p
}

// svg returns the symbol as an image, with its quiet zone, in black on white:
// readers expect that in a dark page too.
func (q *qrCode) svg() string {
	const quiet = 4
	var path strings.Builder
	for y := range q.size {
		for x := 0; x < q.size; x++ {
			if !q.at(x, y) {
				continue
			}
			start := x
			for x+1 < q.size && q.at(x+1, y) {
				x++
			}
			fmt.Fprintf(&path, "M%d %dh%dv1H%dz", start+quiet, y+quiet, x-start+1, start+quiet)
		}
	}
	side := q.size + 2*quiet
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<rect width="%d" height="%d" fill="#fff"/><path d="%s"/></svg>`, side, side, side, side, path.String())
}
