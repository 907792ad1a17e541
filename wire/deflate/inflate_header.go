package deflate

import "strconv"

// An inflateHeader is the header of a dynamic block (RFC 1951, Section 3.2.7).
// The tables of the block can be built from it.
type inflateHeader struct {
	lits, dists, codes uint16 // numbers of the lengths
	next               uint16 // index of the length that is read next
	codeLengths        [codeSymbols]uint8
	lengths            [decodeLits + decodeDists]uint8 // of the literal/length code, then of the distance code
}

// dynamic reads the numbers of code lengths of a dynamic block (RFC 1951,
// Section 3.2.7).
func (x *inflation) dynamic() inflateResult {
	if !x.fill(14) {
		return resultInput
	}
	h := &x.t.header
	h.lits, h.dists, h.codes = uint16(x.take(5)+257), uint16(x.take(5)+1), uint16(x.take(4)+4)
	if h.lits > 286 {
		return x.fail(strconv.Itoa(int(h.lits)) + " codes for literals and lengths exceed 286")
	}
	if h.dists > 30 {
		return x.fail(strconv.Itoa(int(h.dists)) + " codes for distances exceed 30")
	}
	h.next = 0
	h.codeLengths = [codeSymbols]uint8{}
	x.state = stateCodeCode
	return resultNext
}

// codeCode reads the code for code lengths.
func (x *inflation) codeCode() inflateResult {
	h := &x.t.header
	for h.next < h.codes {
		n := min(uint(h.codes-h.next), 18) // 54 bits
		if !x.fill(3 * n) {
			if n = 1; !x.fill(3) {
				return resultInput
			}
		}
		for range n {
			h.codeLengths[codeOrder[h.next]] = uint8(x.take(3))
			h.next++
		}
	}
	if c := x.t.buildCodeTable(); c != codeComplete {
		return x.fail("the code for code lengths is " + c.String())
	}
	h.next = 0
	x.t.builder.begin()
	clear(h.lengths[:])
	x.state = stateCodeLengths
	return resultNext
}

// codeLengths reads the code lengths and builds the tables of the block.
func (x *inflation) codeLengths() inflateResult {
	h, b := &x.t.header, &x.t.builder
	i, lits, total := uint(h.next), uint(h.lits), uint(h.lits+h.dists)
	for i < total {
		if x.nb < maxCodeLengthBits+7 {
			x.fill(maxCodeLengthBits + 7)
		}
		e := x.t.lit[x.acc&(1<<maxCodeLengthBits-1)]
		skip := uint(e & entrySkip)
		if x.rest() < int(skip) {
			h.next = uint16(i)
			return resultInput
		}
		extra := x.acc & (1<<skip - 1) >> (e >> entryCode & 15)
		x.acc >>= skip
		x.nb -= skip
		value := uint(e >> entryValue & 0xff)
		if int32(e) < 0 {
			key := value
			if i >= lits {
				key += listKeys
			}
			h.lengths[i] = uint8(value)
			b.add(i, key)
			i++
			continue
		}
		end := i + value + uint(extra)
		if end > total {
			return x.fail("there are more code lengths than the " + strconv.Itoa(int(total)) + " announced")
		}
		if e&entryRepeat == 0 {
			i = end
			continue
		}
		if i == 0 {
			return x.fail("the first code length repeats the previous one")
		}
		for length := h.lengths[i-1]; i < end; i++ {
			key := uint(length)
			if i >= lits {
				key += listKeys
			}
			h.lengths[i] = length
			b.add(i, key)
		}
	}
	h.next = uint16(i)
	if h.lengths[256] == 0 {
		return x.fail("the end of the block has no code")
	}
	if c := x.t.buildLitTable(); c > codeSingle {
		return x.fail("the code for literals and lengths is " + c.String())
	}
	if c := x.t.buildDistTable(); c > codeSingle {
		return x.fail("the code for distances is " + c.String())
	}
	x.state = stateSymbols
	return resultNext
}

// buildCodeTable makes lit the table of the code for code lengths.
func (t *inflateTables) buildCodeTable() completeness {
	t.builder.begin()
	for i, n := range t.header.codeLengths {
		t.builder.add(uint(i), uint(n))
	}
	return t.builder.build(t.lit[:], maxCodeLengthBits, 0, 0, constant.codeEntries[:])
}

// addLengths adds the code lengths of the header, up to next, to the builder.
func (t *inflateTables) addLengths() {
	t.builder.begin()
	for i, n := range t.header.lengths[:t.header.next] {
		key := uint(n)
		if i >= int(t.header.lits) {
			key += listKeys
		}
		t.builder.add(uint(i), key)
	}
}

func (t *inflateTables) buildLitTable() completeness {
	return t.builder.build(t.lit[:], litBits, 0, 0, constant.litEntries[:])
}

func (t *inflateTables) buildDistTable() completeness {
	return t.builder.build(t.dist[:], distBits, listKeys, uint(t.header.lits), constant.distEntries[:])
}
