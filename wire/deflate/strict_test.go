package deflate_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// strictInflate inflates one message by the text of RFC 1951, bit by bit. in is
// the message with 00 00 ff ff at its end; history is the text before it. It
// rejects distances over window, distances before the history, blocks with
// BFINAL, and a message that does not end with an empty stored block. It returns
// the text and the types of the blocks.
func strictInflate(in, history []byte, window int) (text []byte, blocks []int, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(strictError)
			if !ok {
				panic(r)
			}
			text, blocks, err = nil, nil, e
		}
	}()
	s := &strict{in: in, out: history[:len(history):len(history)], window: window}
	for {
		if s.bits(1) != 0 {
			panic(strictError{errors.New("BFINAL is set")})
		}
		kind := s.bits(2)
		blocks = append(blocks, kind)
		before := len(s.out)
		switch kind {
		case 0:
			s.stored()
		case 1:
			s.fixed()
		case 2:
			s.dynamic()
		default:
			panic(strictError{errors.New("reserved type of block")})
		}
		if s.at == 8*len(in) {
			if kind != 0 || len(s.out) != before {
				panic(strictError{errors.New("the last block is not an empty stored one")})
			}
			return s.out[len(history):], blocks, nil
		}
	}
}

type strictError struct{ error }

type strict struct {
	in     []byte
	at     int // in bits
	out    []byte
	window int
}

func (s *strict) fail(format string, args ...any) {
	panic(strictError{fmt.Errorf(format, args...)})
}

func (s *strict) bits(n int) (v int) {
	for i := range n {
		if s.at >= 8*len(s.in) {
			s.fail("input ends inside of a block")
		}
		v |= int(s.in[s.at/8]>>(s.at%8)&1) << i
		s.at++
	}
	return v
}

func (s *strict) stored() {
	for s.at%8 != 0 {
		if s.bits(1) != 0 {
			s.fail("padding is not 0")
		}
	}
	n, inverse := s.bits(16), s.bits(16)
	if n^inverse != 0xffff {
		s.fail("length %04x and complement %04x", n, inverse)
	}
	for range n {
		s.out = append(s.out, byte(s.bits(8)))
	}
}

// A strictCode is a canonical code: the number of codes of each length, and the
// symbols in the order of their codes.
type strictCode struct {
	count   [16]int
	symbols []int
}

func (s *strict) code(length []int, limit int, mayBeIncomplete bool) (c strictCode) {
	sum := 0
	for l := 1; l <= limit; l++ {
		for symbol, n := range length {
			if n == l {
				c.count[l]++
				c.symbols = append(c.symbols, symbol)
				sum += 1 << (limit - l)
			}
		}
	}
	if sum > 1<<limit || sum < 1<<limit && !(mayBeIncomplete && len(c.symbols) <= 1) {
		s.fail("lengths %v make no code", length)
	}
	return c
}

func (s *strict) symbol(c strictCode) int {
	code, first, index := 0, 0, 0
	for l := 1; l <= 15; l++ {
		code |= s.bits(1)
		if code < first+c.count[l] {
			return c.symbols[index+code-first]
		}
		index += c.count[l]
		first = (first + c.count[l]) << 1
		code <<= 1
	}
	s.fail("no such code")
	return 0
}

// fixedCodes are the codes of a block of type 1.
var fixedCodes = sync.OnceValues(func() (lit, dist strictCode) {
	lengths := make([]int, 288)
	for i := range lengths {
		lengths[i] = 8
		if i >= 144 && i < 256 {
			lengths[i] = 9
		}
		if i >= 256 && i < 280 {
			lengths[i] = 7
		}
	}
	s := new(strict)
	return s.code(lengths, 15, false), s.code(slices.Repeat([]int{5}, 32), 15, false)
})

func (s *strict) fixed() { s.sequences(fixedCodes()) }

func (s *strict) dynamic() {
	hlit, hdist, hclen := s.bits(5)+257, s.bits(5)+1, s.bits(4)+4
	if hlit > 286 || hdist > 30 {
		s.fail("HLIT %d, HDIST %d", hlit, hdist)
	}
	cl := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:hclen] {
		cl[i] = s.bits(3)
	}
	c := s.code(cl, 7, false)
	var length []int
	for len(length) < hlit+hdist {
		switch symbol := s.symbol(c); symbol {
		case 16:
			if len(length) == 0 {
				s.fail("repeat with nothing before it")
			}
			for range 3 + s.bits(2) {
				length = append(length, length[len(length)-1])
			}
		case 17:
			length = append(length, make([]int, 3+s.bits(3))...)
		case 18:
			length = append(length, make([]int, 11+s.bits(7))...)
		default:
			length = append(length, symbol)
		}
	}
	if len(length) != hlit+hdist {
		s.fail("%d lengths of %d", len(length), hlit+hdist)
	}
	s.sequences(s.code(length[:hlit], 15, false), s.code(length[hlit:], 15, true))
}

func (s *strict) sequences(lit, dist strictCode) {
	lengthBase := []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra := []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase := []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	for {
		symbol := s.symbol(lit)
		if symbol < 256 {
			s.out = append(s.out, byte(symbol))
			continue
		}
		if symbol == 256 {
			return
		}
		if symbol > 285 {
			s.fail("length symbol %d", symbol)
		}
		n := lengthBase[symbol-257] + s.bits(lengthExtra[symbol-257])
		symbol = s.symbol(dist)
		if symbol > 29 {
			s.fail("distance symbol %d", symbol)
		}
		d := distBase[symbol] + s.bits(max(symbol/2-1, 0))
		if d > s.window || d > len(s.out) {
			s.fail("distance %d of window %d, history %d", d, s.window, len(s.out))
		}
		for range n {
			s.out = append(s.out, s.out[len(s.out)-d])
		}
	}
}
