package deflate

import "encoding/binary"

const (
	// fastInput is the number of bytes of input that fastSymbols may load after
	// x.stop: two loads of 8 bytes, the second up to 7 bytes after the first.
	fastInput = 16
	// fastOutput is the number of bytes of room with which it decodes literals
	// without a check. Copies write up to chunk-1 bytes more than their length.
	fastOutput = chunk
	// chunk is the number of bytes that copies move at once.
	chunk = 16
)

// fastSymbols decodes symbols as long as x.pos <= x.stop and there are
// fastOutput bytes of room. It may decode input that ends after x.end: the
// caller checks x.rest.
//
// One load gives at least 56 bits. They suffice for a length and a distance,
// with 15+5 and 15+13 bits, or for four literals of litBits.
func (x *inflation) fastSymbols(lit *litTable, dist *distTable) symbolResult {
	in, out := x.in, x.out
	pos, stop, acc, nb := x.pos, x.stop, x.acc, x.nb
	n, base, room := x.n, x.base, len(out)-fastOutput
	window := x.window.size()
	r := symbolMore
	for pos <= stop && n <= room {
		acc |= binary.LittleEndian.Uint64(in[pos:]) << (nb & 63)
		pos += int(63-nb) >> 3
		nb |= 56

		e := lit[acc&(1<<litBits-1)]
		if int32(e) < 0 {
			acc >>= e & entrySkip
			nb -= uint(e & entrySkip)
			out[n] = byte(e >> entryValue)
			n++
			e = lit[acc&(1<<litBits-1)]
			if int32(e) < 0 {
				acc >>= e & entrySkip
				nb -= uint(e & entrySkip)
				out[n] = byte(e >> entryValue)
				n++
				e = lit[acc&(1<<litBits-1)]
				if int32(e) < 0 {
					acc >>= e & entrySkip
					nb -= uint(e & entrySkip)
					out[n] = byte(e >> entryValue)
					n++
					e = lit[acc&(1<<litBits-1)]
					if int32(e) < 0 {
						acc >>= e & entrySkip
						nb -= uint(e & entrySkip)
						out[n] = byte(e >> entryValue)
						n++
						continue
					}
				}
			}
			acc |= binary.LittleEndian.Uint64(in[pos:]) << (nb & 63)
			pos += int(63-nb) >> 3
			nb |= 56
		}
		if e&entryOther != 0 {
			if e&entryLink == entryLink {
				acc >>= litBits
				nb -= litBits
				e = lit[(e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1))%litTableSize]
				if int32(e) < 0 {
					acc >>= e & entrySkip
					nb -= uint(e & entrySkip)
					out[n] = byte(e >> entryValue)
					n++
					continue
				}
			}
			if e&entryOther != 0 {
				acc >>= e & entrySkip
				nb -= uint(e & entrySkip)
				r = symbolNoLiteral
				if e&entryEnd == entryEnd {
					r = symbolEnd
				}
				break
			}
		}
		saved := acc
		acc >>= e & entrySkip
		nb -= uint(e & entrySkip)
		length := int(e>>entryValue) + int(saved&(1<<(e&entrySkip)-1)>>(e>>entryCode&15))

		e = dist[acc&(1<<distBits-1)]
		if e&entryOther != 0 {
			if e&entryLink == entryLink {
				acc >>= distBits
				nb -= distBits
				e = dist[(e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1))%distTableSize]
			}
			if e&entryOther != 0 {
				acc >>= e & entrySkip
				nb -= uint(e & entrySkip)
				r = symbolNoDistance
				break
			}
		}
		saved = acc
		acc >>= e & entrySkip
		nb -= uint(e & entrySkip)
		distance := int(e>>entryValue) + int(saved&(1<<(e&entrySkip)-1)>>(e>>entryCode&15))

		if distance > window {
			x.distance = uint16(distance)
			r = symbolFar
			break
		}
		end := n + length
		if end > room {
			x.distance = uint16(distance)
			r = symbolFar
			x.n = n
			if distance <= x.known() {
				x.length = uint16(length)
				r = symbolMore
			}
			break
		}
		if back := distance - (n - base); back > 0 {
			h := x.window
			if back > int(h.n) {
				x.distance = uint16(distance)
				r = symbolFar
				break
			}
			if from := (int(h.at) - back) & (len(h.buf) - 1); length <= back && from+length+chunk <= len(h.buf) {
				for ; n < end; n += chunk {
					*(*[chunk]byte)(out[n:]) = *(*[chunk]byte)(h.buf[from:])
					from += chunk
				}
				n = end
				continue
			}
			for back > 0 && n < end {
				k := h.copyBack(out[n:end], back)
				n += k
				back -= k
			}
			if n == end {
				continue
			}
		}
		switch {
		case distance >= chunk:
			if length > 64 && distance >= length {
				n += copy(out[n:end], out[n-distance:])
				continue
			}
			for ; n < end; n += chunk {
				*(*[chunk]byte)(out[n:]) = *(*[chunk]byte)(out[n-distance:])
			}
		case distance >= 8:
			for ; n < end; n += 8 {
				binary.LittleEndian.PutUint64(out[n:], binary.LittleEndian.Uint64(out[n-distance:]))
			}
		default:
			// The period is repeated in a word, which is stored at each multiple of
			// the period.
			w := binary.LittleEndian.Uint64(out[n-distance:]) & (1<<(8*distance) - 1)
			for shift := 8 * distance; shift < 64; shift *= 2 {
				w |= w << shift
			}
			for step := 8 - 8%distance; n < end; n += step {
				binary.LittleEndian.PutUint64(out[n:], w)
			}
		}
		n = end
	}
	x.pos, x.acc, x.nb, x.n = pos, acc, nb, n
	return r
}
