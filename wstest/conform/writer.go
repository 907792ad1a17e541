package conform

import (
	"net"
	"runtime"
	"sync"
	"time"
)

// A writer writes to the peer from its own goroutine. So the judge reads while
// the peer does not.
type writer struct {
	conn net.Conn

	pause time.Duration // after a chunk that is spaced; 0 for none

	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	queue  []chunk
	size   int           // octets that are not written yet
	empty  func()        // called once, when size is 0
	wake   chan struct{} // of capacity 1: the queue or the state has changed
	ending bool          // when the queue is empty, TCP ends
	dead   bool
}

// spacing is the pause between octets that are written one by one. Without it
// one read of the peer returns several of them.
const spacing = 100 * time.Microsecond

// Adjacent chunks that are joined share one write.
type chunk struct {
	octets []byte
	how    joining
}

// A joining is the way in which a chunk is written.
type joining int

const (
	joined joining = iota
	alone          // in a write of its own
	spaced         // in a write of its own, before a pause
)

func newWriter(conn net.Conn, pause time.Duration) *writer {
	w := &writer{conn: conn, pause: pause, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// write queues octets. The caller must not change them.
func (w *writer) write(octets []byte, how joining) {
	w.mu.Lock()
	w.queue = append(w.queue, chunk{octets, how})
	w.size += len(octets)
	w.mu.Unlock()
	w.signal()
}

// queued returns the number of octets that are not written yet.
func (w *writer) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// whenEmpty makes the writer's goroutine call f once, when all queued octets
// are written. Some must be queued.
func (w *writer) whenEmpty(f func()) {
	w.mu.Lock()
	w.empty = f
	w.mu.Unlock()
	w.signal()
}

// finish ends TCP when all octets are written.
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

// abort discards the octets that are not written. The caller closes the
// connection; then the writer's goroutine ends.
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
	defer close(w.done)
	for range w.wake {
		w.mu.Lock()
		queue, dead := w.queue, w.dead
		w.queue = nil
		w.mu.Unlock()
		if dead || !w.writeAll(queue) {
			return
		}
		w.mu.Lock()
		for _, c := range queue {
			w.size -= len(c.octets)
		}
		over := w.ending && len(w.queue) == 0
		empty := w.empty
		if len(w.queue) > 0 {
			empty = nil
		} else {
			w.empty = nil
		}
		w.mu.Unlock()
		if empty != nil {
			empty()
		}
		if over {
			w.conn.Close()
			return
		}
	}
}

// writeAll reports whether all writes succeeded.
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
		if c.how != joined && !flush() {
			return false
		}
		together = append(together, c.octets)
		if c.how == joined {
			continue
		}
		if !flush() {
			return false
		}
		runtime.Gosched() // lets a peer in this process read before more is written
		if c.how == spaced {
			time.Sleep(w.pause)
		}
	}
	return flush()
}

// writeBuffers writes buffers in few writes: net.Buffers.WriteTo makes a TLS
// record of each buffer.
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
