package conform

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"
)

// A wireLog holds the first and the last entries of a session, and counts all
// traffic.
type wireLog struct {
	head    []LogEntry
	tail    []LogEntry // a ring, once it is full
	oldest  int        // of tail
	omitted int
	tx, rx  Traffic
}

const (
	logHead = 200 // entries
	logTail = 100
	logData = 256 // bytes kept of one entry
)

func (l *wireLog) add(e LogEntry) {
	switch {
	case len(l.head) < logHead:
		l.head = append(l.head, e)
	case len(l.tail) < logTail:
		l.tail = append(l.tail, e)
	default:
		l.tail[l.oldest] = e
		l.oldest = (l.oldest + 1) % logTail
		l.omitted++
	}
}

// addData adds an entry with the beginning of data. It reuses the memory of the
// entry that it replaces, because a case may have a hundred thousand frames.
func (l *wireLog) addData(e LogEntry, data []byte) {
	e.Size = len(data)
	data = data[:min(len(data), logData)]
	if len(l.tail) == logTail {
		e.Data = append(l.tail[l.oldest].Data[:0], data...)
	} else {
		e.Data = bytes.Clone(data)
	}
	l.add(e)
}

func (l *wireLog) sent(at time.Duration, octets []byte) {
	l.tx.count(len(octets))
	l.addData(LogEntry{At: at, Kind: LogSent}, octets)
}

func (l *wireLog) received(at time.Duration, octets []byte) {
	l.rx.count(len(octets))
	l.addData(LogEntry{At: at, Kind: LogReceived}, octets)
}

func (l *wireLog) frame(at time.Duration, kind LogKind, info FrameInfo, payload []byte) {
	traffic := &l.tx
	if kind == LogRxFrame {
		traffic = &l.rx
	}
	if traffic.Frames == nil {
		traffic.Frames = make(map[int]int)
	}
	traffic.Frames[info.Opcode]++
	l.addData(LogEntry{At: at, Kind: kind, Frame: &info}, payload)
}

func (t *Traffic) count(n int) {
	if t.OctetsBySize == nil {
		t.OctetsBySize = make(map[int]int)
	}
	t.Octets += int64(n)
	t.OctetsBySize[n]++
}

// entries returns the entries in order.
func (l *wireLog) entries() []LogEntry {
	all := append(l.head, l.tail[l.oldest:]...)
	return append(all, l.tail[:l.oldest]...)
}

func (s *session) at() time.Duration { return time.Since(s.opened) }

func (s *session) note(kind LogKind, format string, args ...any) {
	s.log.add(LogEntry{At: s.at(), Kind: kind, Text: fmt.Sprintf(format, args...)})
}

func (s *session) logFrame(kind LogKind, f frame, key *[4]byte) {
	info := FrameInfo{Opcode: f.opcode, Fin: f.fin, RSV: f.rsv}
	if key != nil {
		info.Masked, info.Key = true, *key
	}
	s.log.frame(s.at(), kind, info, f.payload)
}

func (s *session) logRxFrame(f FrameInfo, payload []byte) {
	s.log.frame(s.at(), LogRxFrame, f, payload)
}

// cutText returns at most n bytes of a text, without a part of a code point.
func cutText(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
