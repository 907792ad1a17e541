package deflate

import "strconv"

// block reads the header of a block (RFC 1951, Section 3.2.3).
func (x *inflation) block() inflateResult {
	if !x.fill(3) {
		return resultInput
	}
	x.afterBlock = stateBlock
	if x.take(1) == 1 {
		x.afterBlock = stateFinal
	}
	switch x.take(2) {
	case 0:
		x.align()
		x.state = stateStoredLength
	case 1:
		x.state = stateFixed
	case 2:
		x.state = stateDynamic
	default:
		return x.fail("block type 3 is reserved")
	}
	return resultNext
}

// endBlock sets the state after a block.
func (x *inflation) endBlock() inflateResult {
	if x.state = x.afterBlock; x.state == stateFinal {
		x.align()
	}
	return resultNext
}

// align skips to the next byte of the input.
func (x *inflation) align() { x.take(x.nb & 7) }

// storedLength reads the length of a stored block (RFC 1951, Section 3.2.4).
func (x *inflation) storedLength() inflateResult {
	if !x.fill(32) {
		return resultInput
	}
	n, not := uint16(x.take(16)), uint16(x.take(16))
	if n != ^not {
		return x.fail("the length " + strconv.Itoa(int(n)) + " of a stored block differs from its complement's " + strconv.Itoa(int(^not)))
	}
	x.length = n
	x.state = stateStored
	return resultNext
}

// stored copies the text of a stored block.
func (x *inflation) stored() inflateResult {
	for x.length > 0 {
		rest := x.rest() / 8
		if rest <= 0 {
			return resultInput
		}
		if x.n == len(x.out) && !x.grow() {
			return resultFull
		}
		n := min(int(x.length), rest, len(x.out)-x.n)
		if x.nb > 0 {
			n = min(n, int(x.nb/8))
			for i := range n {
				x.out[x.n+i] = byte(x.take(8))
			}
		} else {
			x.acc = 0
			copy(x.out[x.n:x.n+n], x.in[x.pos:x.end])
			x.pos += n
		}
		x.n += n
		x.length -= uint16(n)
	}
	return x.endBlock()
}
