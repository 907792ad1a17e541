package deflate

// A message is the parameters by which a message, or a fragment, is encoded.
type message struct {
	window *ring // text before it; nil if there is none
	size   int   // largest distance
	effort *effort
}

// appendSmaller appends the message p to dst, if that takes fewer bytes than p.
// Otherwise it returns dst, which may have been reallocated, and false.
func (m *message) appendSmaller(dst, p []byte) ([]byte, bool) {
	if len(p) == 0 {
		return dst, false
	}
	return m.append(dst, p, len(dst)+len(p)-1, true)
}

// append appends p to dst, as blocks that end with an empty stored block. If
// final is set, the bytes 00 00 ff ff at its end are left out. It returns dst,
// which may have been reallocated, and false if the result would exceed limit
// bytes.
func (m *message) append(dst, p []byte, limit int, final bool) ([]byte, bool) {
	w := bitWriter{out: dst[:cap(dst)], pos: len(dst)}
	if len(p) > 0 {
		e := encoders.Get().(*encoder)
		ok := e.encode(&w, m, p, limit)
		encoders.Put(e)
		if !ok {
			return w.out[:len(dst)], false
		}
	}
	w.reserve(blockSpace)
	w.put(encodeStored<<1, 3)
	w.align()
	if !final {
		w.put(0xffff0000, 32)
	}
	if w.pos > limit {
		return w.out[:len(dst)], false
	}
	return w.out[:w.pos], true
}

// encode appends p as blocks.
func (e *encoder) encode(w *bitWriter, m *message, p []byte, limit int) bool {
	history := 0
	if m.window != nil {
		history = int(m.window.n)
	}
	if history > 0 && len(p) <= m.size/2 {
		start := chainStart + history
		m.window.copyText(e.text[chainStart:start])
		end := start + copy(e.text[start:], p)
		e.indexChains(start, m.effort.step(m.size), m.effort.recent)
		e.parseChains(start, end, m.size, m.effort)
		return e.writeBlock(w, start, end, limit)
	}

	start := history
	if history > 0 {
		m.window.copyText(e.text[:history])
	}
	mask := e.clearPacked(history + len(p))
	e.indexPacked(start, m.effort.step(m.size), mask)
	for len(p) > 0 {
		n := min(len(p), maxBlock)
		if start+n > textSize {
			start = e.slide(start, m.size)
		}
		end := start + copy(e.text[start:], p[:n])
		p = p[n:]
		e.parsePacked(start, end, m.size, mask, m.effort)
		if !e.writeBlock(w, start, end, limit) {
			return false
		}
		start = end
	}
	return true
}

// slide moves the last size bytes of text[:end] to the beginning of the text and
// returns their number.
func (e *encoder) slide(end, size int) int {
	keep := min(size, end)
	copy(e.text[:], e.text[end-keep:end])
	e.base += uint16(end - keep)
	return keep
}
