package wire

import "encoding/binary"

// UTF8 validates a text that arrives in pieces (RFC 6455, Section 8.1). It
// reports the first byte that no valid text can have at that position, also
// inside a code point that an earlier piece started. The zero value is at the
// start of a text.
type UTF8 struct {
	state uint8 // whole to afterF4
}

// A state is a position within a code point (RFC 3629, Section 4). The second
// byte after E0, ED, F0 and F4 has narrower bounds than 80..BF, which exclude
// overlong forms, surrogates and code points above U+10FFFF. The value of a
// state is the offset of its field in a row of nextState, in bits.
const (
	whole     = iota * 6 // before the first byte
	oneLeft              // before the last byte
	twoLeft              // before the last two
	threeLeft            // before the last three
	afterE0              // before A0..BF and one more
	afterED              // before 80..9F and one more
	afterF0              // before 90..BF and two more
	afterF4              // before 80..8F and two more
	failed               // after an impossible byte; final
)

// nextState has one row for each byte. A row has a field of 6 bits for each
// state, which holds the next state. One shift per byte suffices: shifting the
// row by the state leaves the next state in the low 6 bits, and the shift of
// the next row ignores the bits above. Rows are loaded before the state is
// known.
var nextState = func() (rows [256]uint64) {
	for i := range rows {
		for state := whole; state <= failed; state += 6 {
			rows[i] |= failed << state
		}
	}
	for _, t := range []struct {
		from        int
		first, last uint8
		to          uint64
	}{
		{whole, 0x00, 0x7F, whole},
		{whole, 0xC2, 0xDF, oneLeft},
		{whole, 0xE0, 0xE0, afterE0},
		{whole, 0xE1, 0xEC, twoLeft},
		{whole, 0xED, 0xED, afterED},
		{whole, 0xEE, 0xEF, twoLeft},
		{whole, 0xF0, 0xF0, afterF0},
		{whole, 0xF1, 0xF3, threeLeft},
		{whole, 0xF4, 0xF4, afterF4},
		{oneLeft, 0x80, 0xBF, whole},
		{twoLeft, 0x80, 0xBF, oneLeft},
		{threeLeft, 0x80, 0xBF, twoLeft},
		{afterE0, 0xA0, 0xBF, oneLeft},
		{afterED, 0x80, 0x9F, oneLeft},
		{afterF0, 0x90, 0xBF, twoLeft},
		{afterF4, 0x80, 0x8F, twoLeft},
	} {
		for c := int(t.first); c <= int(t.last); c++ {
			rows[c] = rows[c]&^(63<<t.from) | t.to<<t.from
		}
	}
	return rows
}()

// Reset returns u to the start of a text.
func (u *UTF8) Reset() { *u = UTF8{} }

// Complete reports whether the text may end here: its last code point is
// complete.
func (u *UTF8) Complete() bool { return u.state == whole }

// Check validates p, the next piece of the text. It returns the index in p of
// the first impossible byte, or -1 if p has none. After an index other than -1,
// call Reset before the next Check.
func (u *UTF8) Check(p []byte) int {
	s := uint64(u.state)
	rest := p[:len(p):len(p)] // unread bytes; the capacity makes slicing cheaper
	if len(p) >= utf8BlocksMin {
		if n := skipValid(p, s); n > 0 {
			rest, s = rest[n:], whole
		}
	}
	for len(rest) > 8 {
		if word(rest)&notASCII == 0 && s&63 == whole {
			rest = rest[8:]
			for len(rest) > 32 && (word(rest)|word(rest[8:])|word(rest[16:])|word(rest[24:]))&notASCII == 0 {
				rest = rest[32:]
			}
			continue
		}
		t := s
		t = nextState[rest[0]] >> (t & 63)
		t = nextState[rest[1]] >> (t & 63)
		t = nextState[rest[2]] >> (t & 63)
		t = nextState[rest[3]] >> (t & 63)
		t = nextState[rest[4]] >> (t & 63)
		t = nextState[rest[5]] >> (t & 63)
		t = nextState[rest[6]] >> (t & 63)
		t = nextState[rest[7]] >> (t & 63)
		if t&63 == failed {
			break // the loop over rest finds the byte
		}
		s, rest = t, rest[8:]
	}
	if s&63 == whole && endsASCII(p, len(rest)) {
		u.state = whole
		return -1
	}
	for i, c := range rest {
		s = nextState[c] >> (s & 63)
		if s&63 == failed {
			return len(p) - len(rest) + i
		}
	}
	u.state = uint8(s & 63)
	return -1
}

// notASCII has the top bit of each of eight bytes, which ASCII leaves zero.
const notASCII = 0x8080808080808080

// endsASCII reports whether the last n bytes of p are ASCII. It is a fast check
// and returns false for some lengths without reading them.
func endsASCII(p []byte, n int) bool {
	switch {
	case n > 8 || len(p) < 4:
		return false
	case len(p) >= 8:
		return word(p[len(p)-8:])&notASCII == 0
	}
	w := binary.NativeEndian.Uint32(p) | binary.NativeEndian.Uint32(p[len(p)-4:])
	return w&(notASCII>>32) == 0
}

func word(p []byte) uint64 { return binary.NativeEndian.Uint64(p) }

// skipValid returns the length of a valid prefix of p, read from state s, that
// ends with a complete code point. With the assembly of utf8Blocks the prefix
// ends a few bytes before the end of p or before the block with the first
// fault.
func skipValid(p []byte, s uint64) int {
	n := 0
	for ; s != whole; n++ {
		if s = nextState[p[n]] >> s & 63; s == failed {
			return 0
		}
	}
	if len(p)-n < utf8BlocksMin {
		return n
	}
	blocks := utf8Blocks(p[n:])
	if blocks == 0 {
		return n
	}
	n += blocks
	// The last code point of the prefix may be incomplete.
	switch {
	case p[n-1] < 0x80:
	case p[n-1] >= 0xC0:
		n -= 1
	case p[n-2] >= 0xE0:
		n -= 2
	case p[n-3] >= 0xF0:
		n -= 3
	}
	return n
}
