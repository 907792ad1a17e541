package deflate

import "strconv"

// symbols decodes symbols through the end of the block.
func (x *inflation) symbols(lit *litTable, dist *distTable) inflateResult {
	for {
		if x.length > 0 && !x.copyMatch() {
			return resultFull
		}
		if x.final && x.pos > x.stop && x.stop < x.end {
			x.setTail()
		}
		var r symbolResult
		if x.pos <= x.stop && x.n <= len(x.out)-fastOutput {
			r = x.fastSymbols(lit, dist)
		} else {
			r = x.symbol(lit, dist)
		}
		switch r {
		case symbolEnd:
			return x.endBlock()
		case symbolInput:
			return resultInput
		case symbolFull:
			return resultFull
		case symbolNoLiteral:
			return x.fail("a code stands for no literal or length")
		case symbolNoDistance:
			return x.fail("a code stands for no distance")
		case symbolFar:
			return x.fail("a distance of " + strconv.Itoa(int(x.distance)) + " bytes exceeds the " + strconv.Itoa(min(x.known(), x.window.size())) + " bytes in the window")
		}
		if x.rest() < 0 {
			return x.truncated() // zeros after the end have been decoded
		}
	}
}

// symbolResult is the reason why decoding of symbols stopped.
type symbolResult uint8

const (
	symbolMore       symbolResult = iota // continue with a copy of x.length bytes, if any
	symbolEnd                            // the block has ended
	symbolInput                          // more input is needed
	symbolFull                           // more room than limit is needed
	symbolNoLiteral                      // a code stands for no literal or length
	symbolNoDistance                     // a code stands for no distance
	symbolFar                            // x.distance exceeds the window
)

// symbol decodes a literal, or a length and its distance, unless the rest of
// the input is only a part of it.
func (x *inflation) symbol(lit *litTable, dist *distTable) symbolResult {
	x.fill(48)
	acc, rest, used := x.acc, x.rest(), uint(0)
	e := lit[acc&(1<<litBits-1)]
	if e&entryLink == entryLink {
		acc >>= litBits
		used = litBits
		e = lit[e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1)]
	}
	saved, skip := acc, uint(e&entrySkip)
	acc >>= skip
	used += skip
	switch {
	case rest < int(used):
		return symbolInput
	case e&entryLiteral != 0:
		if x.n == len(x.out) && !x.grow() {
			return symbolFull
		}
		x.out[x.n] = byte(e >> entryValue)
		x.n++
		x.take(used)
		return symbolMore
	case e&entryEnd == entryEnd:
		x.take(used)
		return symbolEnd
	case e&entryOther != 0:
		x.take(used)
		return symbolNoLiteral
	}
	length := e>>entryValue + uint32(saved&(1<<skip-1)>>(e>>entryCode&15))

	e = dist[acc&(1<<distBits-1)]
	if e&entryLink == entryLink {
		acc >>= distBits
		used += distBits
		e = dist[e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1)]
	}
	skip = uint(e & entrySkip)
	used += skip
	distance := e>>entryValue + uint32(acc&(1<<skip-1)>>(e>>entryCode&15))
	switch {
	case rest < int(used):
		return symbolInput
	case e&entryOther != 0:
		x.take(used)
		return symbolNoDistance
	}
	x.take(used)
	x.distance = uint16(distance)
	if int(distance) > min(x.known(), x.window.size()) {
		return symbolFar
	}
	x.length = uint16(length)
	return symbolMore
}

// known returns the number of bytes before out[n] that are known.
func (x *inflation) known() int {
	return x.n - x.base + int(x.window.n)
}

// copyMatch copies x.length bytes from x.distance bytes before, which are
// known. It reports false if limit is reached before.
func (x *inflation) copyMatch() bool {
	for x.length > 0 {
		if x.n == len(x.out) && !x.grow() {
			return false
		}
		to := x.out[x.n:min(x.n+int(x.length), len(x.out))]
		n := 0
		if back := int(x.distance) - (x.n - x.base); back > 0 {
			n = x.window.copyBack(to, back)
		} else {
			n = copy(to, x.out[x.n-int(x.distance):x.n])
		}
		x.n += n
		x.length -= uint16(n)
	}
	return true
}
