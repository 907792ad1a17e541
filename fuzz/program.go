package fuzz

// program is the input of a target that makes several choices. It is read from
// the front; after its end all bytes are zero, so that every input is a
// program.
type program struct{ rest []byte }

// more reports whether anything is left.
func (p *program) more() bool { return len(p.rest) > 0 }

// byte returns the next byte.
func (p *program) byte() byte {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

// uint16 returns the next two bytes as a number, the first one its low half: a
// small number is a byte and a zero.
func (p *program) uint16() int { return int(p.byte()) | int(p.byte())<<8 }

// uint64 returns the next eight bytes as a number.
func (p *program) uint64() (n uint64) {
	for i := range 8 {
		n |= uint64(p.byte()) << (8 * i)
	}
	return n
}

// bytes returns the next n bytes, or fewer at the end.
func (p *program) bytes(n int) []byte {
	n = min(n, len(p.rest))
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

// text returns a string, after a byte with its length.
func (p *program) text() string { return string(p.bytes(int(p.byte()))) }

// all returns the rest.
func (p *program) all() []byte { return p.bytes(len(p.rest)) }
