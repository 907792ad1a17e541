package conform

import (
	"net"
	"runtime"
	"sync"
)

// A writer writes to the peer without keeping anybody waiting, so that a peer that does not read cannot stop the judge from reading.
type writer struct {
	conn net.Conn

	mu     sync.Mutex
	queue  []chunk
	wake   chan struct{} // has room for one: something is new in the queue, or state
	ending bool          // when the queue is empty, TCP ends
	dead   bool
}

// A chunk is written with its neighbours, if neither of them is alone.
type chunk struct {
	octets []byte
	alone  bool
}

func newWriter(conn net.Conn) *writer {
	w := &writer{conn: conn, wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// write has octets written; they must not change.
func (w *writer) write(octets []byte, alone bool) {
	w.mu.Lock()
	w.queue = append(w.queue, chunk{octets, alone})
	w.mu.Unlock()
	w.signal()
}

// finish ends TCP when all is written.
func (w *writer) finish() {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.signal()
}

// finished reports whether finish or abort was called.
func (w *writer) finished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending || w.dead
}

// abort gives up what is not written. The caller closes the connection.
func (w *writer) abort() {
	w.mu.Lock()
	w.dead = true
	w.queue = nil
	w.mu.Unlock()
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) run() {
	for range w.wake {
		w.mu.Lock()
		queue, dead := w.queue, w.dead
		w.queue = nil
		w.mu.Unlock()
		if dead || !w.writeAll(queue) {
			return
		}
		w.mu.Lock()
		over := w.ending && len(w.queue) == 0
		w.mu.Unlock()
		if over {
			w.conn.Close()
			return
		}
	}
}

// writeAll reports whether the connection still takes something.
func (w *writer) writeAll(queue []chunk) bool {
	var together net.Buffers
	flush := func() bool {
		if len(together) == 0 {
			return true
		}
		var err error
		if len(together) == 1 {
			_, err = w.conn.Write(together[0])
		} else {
			err = writeBuffers(w.conn, together)
		}
		together = together[:0]
		return err == nil
	}
	for _, c := range queue {
		if c.alone && !flush() {
			return false
		}
		together = append(together, c.octets)
		if c.alone {
			if !flush() {
				return false
			}
			runtime.Gosched() // lets a peer in this process see the octets before more come
		}
	}
	return flush()
}

// writeBuffers writes buffers in as few writes as it can. TLS would make a record of each.
func writeBuffers(conn net.Conn, buffers net.Buffers) error {
	const gathered = 1 << 20
	var b []byte
	for i, octets := range buffers {
		b = append(b, octets...)
		if len(b) < gathered && i < len(buffers)-1 {
			continue
		}
		if _, err := conn.Write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	return nil
}
