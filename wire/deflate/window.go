package deflate

// A window is the text that the next message may refer to: the latest bytes of
// the messages before it. Its memory grows as text arrives and is a ring once it
// has its full size.
type window struct {
	buf []byte // the text; if len(buf) is the full size, a ring
	at  int    // oldest byte of the ring
}

// minWindowAlloc is the first size of a window's memory.
const minWindowAlloc = 256

// append adds p to the window, which holds at most size bytes.
func (w *window) append(p []byte, size int) {
	if len(p) >= size {
		if cap(w.buf) < size {
			w.buf = make([]byte, size)
		}
		w.buf = w.buf[:size]
		copy(w.buf, p[len(p)-size:])
		w.at = 0
		return
	}
	if free := size - len(w.buf); free > 0 {
		n := min(free, len(p))
		w.grow(len(w.buf)+n, size)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(w.buf[w.at:], p)
		p = p[n:]
		w.at += n
		if w.at == size {
			w.at = 0
		}
	}
}

// grow reallocates w.buf for n bytes: a power of two, at most size.
func (w *window) grow(n, size int) {
	c := cap(w.buf)
	if n <= c {
		return
	}
	for c = max(c, minWindowAlloc); c < n; c *= 2 {
	}
	buf := make([]byte, len(w.buf), min(c, size))
	copy(buf, w.buf)
	w.buf = buf
}

// copyTo copies the window to dst, oldest byte first, and returns its length.
func (w *window) copyTo(dst []byte) int {
	n := copy(dst, w.buf[w.at:])
	return n + copy(dst[n:], w.buf[:w.at])
}
