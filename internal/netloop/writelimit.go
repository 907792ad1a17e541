package netloop

// WriteLimit bounds write buffers. Sizes are in bytes; zero or negative means
// no limit.
type WriteLimit struct {
	// High is the size of one connection's write buffer.
	High int

	// PauseRead is the size of the replies in a write buffer over which reading
	// is paused until the buffer is empty.
	PauseRead int

	// TotalHigh is the size of all write buffers together, as Total counts
	// them. It applies to connections with more than Exempt bytes buffered.
	TotalHigh int
	Exempt    int
	Total     *Gauge
}

// Exceeded reports whether size more bytes would exceed a limit, for a
// connection with so many bytes buffered: High, or TotalHigh if total is true.
func (l *WriteLimit) Exceeded(buffered, size int) (exceeded, total bool) {
	if l.High > 0 && buffered+size > l.High {
		return true, false
	}
	if l.TotalHigh > 0 && buffered > l.Exempt && l.Total.Load()+int64(size) > int64(l.TotalHigh) {
		return true, true
	}
	return false, false
}

// Space returns how many of size bytes may be added to a write buffer of
// buffered bytes; 0 if the writer must wait. It is 0, size, or at least half of
// High, so that a writer is not woken for a few bytes.
func (l *WriteLimit) Space(buffered, size int) int {
	if buffered > l.Exempt && l.TotalHigh > 0 && l.Total.Load() >= int64(l.TotalHigh) {
		return 0
	}
	switch {
	case l.High <= 0 || buffered+size <= l.High:
		return size
	case buffered > l.High/2:
		return 0
	}
	return l.High - buffered
}
