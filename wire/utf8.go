package wire

import "encoding/binary"

// UTF8 checks a text that comes in pieces (RFC 6455, Section 8.1). It fails at
// the first byte that no valid text could have there, also in the middle of a
// code point that began in an earlier piece. The zero value is at the start of
// a text.
type UTF8 struct {
	// The code point under way: need more bytes, the next of them within lo
	// to hi. Only the second byte of a code point has bounds narrower than
	// 80..BF (RFC 3629, Section 4).
	need   uint8
	lo, hi uint8
}

// Reset goes back to the start of a text.
func (u *UTF8) Reset() { *u = UTF8{} }

// Complete reports whether the text may end here: not inside a code point.
func (u *UTF8) Complete() bool { return u.need == 0 }

// Check reads on through p. It returns the index in p of the first impossible
// byte, or -1 if there is none so far. After a failure u must be reset.
func (u *UTF8) Check(p []byte) int {
	v := *u
	i := 0
	for i < len(p) {
		if v.need == 0 {
			i += asciiPrefix(p[i:])
			if i == len(p) {
				break
			}
			if !v.begin(p[i]) {
				return i
			}
			i++
			continue
		}
		if p[i] < v.lo || p[i] > v.hi {
			return i
		}
		v.need, v.lo, v.hi = v.need-1, 0x80, 0xBF
		i++
	}
	*u = v
	return -1
}

// begin takes the first byte of a code point that is not ASCII. The bounds on
// the second byte keep out overlong forms (E0, F0), surrogates (ED) and what
// is above U+10FFFF (F4).
func (u *UTF8) begin(c byte) bool {
	u.lo, u.hi = 0x80, 0xBF
	switch {
	case c < 0xC2:
		return false
	case c < 0xE0:
		u.need = 1
	case c < 0xF0:
		u.need = 2
		if c == 0xE0 {
			u.lo = 0xA0
		}
		if c == 0xED {
			u.hi = 0x9F
		}
	case c < 0xF5:
		u.need = 3
		if c == 0xF0 {
			u.lo = 0x90
		}
		if c == 0xF4 {
			u.hi = 0x8F
		}
	default:
		return false
	}
	return true
}

// asciiPrefix returns how many bytes p begins with that are below 0x80.
func asciiPrefix(p []byte) int {
	const high = 0x8080808080808080
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		if binary.LittleEndian.Uint64(p[i:])&high != 0 {
			break
		}
	}
	for i < len(p) && p[i] < 0x80 {
		i++
	}
	return i
}
