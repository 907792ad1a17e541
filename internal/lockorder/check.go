//go:build lockcheck

package lockorder

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

type (
	Handlers   struct{ mutex[handlers] }
	Topics     struct{ mutex[topics] }
	ConnTopics struct{ mutex[connTopics] }
	Fragments  struct{ mutex[fragments] }
	Sender     struct{ mutex[sender] }
	Socket     struct{ mutex[socket] }
	SendQueue  struct{ mutex[sendQueue] }
)

// rank is the type of a lock, which has a place in the order.
type rank interface{ place() int }

type (
	handlers   struct{}
	topics     struct{}
	connTopics struct{}
	fragments  struct{}
	sender     struct{}
	socket     struct{}
	sendQueue  struct{}
)

func (handlers) place() int   { return 0 }
func (topics) place() int     { return 1 }
func (connTopics) place() int { return 2 }
func (fragments) place() int  { return 3 }
func (sender) place() int     { return 4 }
func (socket) place() int     { return 5 }
func (sendQueue) place() int  { return 6 }

var names = [...]string{"Handlers", "Topics", "ConnTopics", "Fragments", "Sender", "Socket", "SendQueue"}

// mutex is a sync.Mutex whose holder is known.
type mutex[R rank] struct {
	mu     sync.Mutex
	holder *goroutine // that has locked mu; guarded by mu
}

// Lock locks m. It panics if the goroutine holds a lock that comes later, or one of
// the same type.
func (m *mutex[R]) Lock() {
	g := current()
	g.check(m.place())
	m.mu.Lock()
	m.heldBy(g)
}

// TryLock tries to lock m. It cannot wait, and so the order does not matter.
func (m *mutex[R]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	m.heldBy(current())
	return true
}

// Unlock unlocks m.
func (m *mutex[R]) Unlock() {
	m.release()
	m.mu.Unlock()
}

func (m *mutex[R]) place() int {
	var r R
	return r.place()
}

// heldBy notes that g holds m.
func (m *mutex[R]) heldBy(g *goroutine) {
	m.holder = g
	g.held[m.place()].Add(1)
}

// release notes that the holder of m does not hold it any more.
func (m *mutex[R]) release() {
	g := m.holder
	m.holder = nil
	g.held[m.place()].Add(-1)
	g.forget()
}

// HandOver returns f for another goroutine, which then holds m in place of the
// caller.
func HandOver(m *Sender, f func()) func() {
	m.release()
	return func() {
		g := current()
		g.check(m.place())
		m.heldBy(g)
		f()
	}
}

// goroutine has the number of locks of each place that a goroutine holds.
type goroutine struct {
	id   uint64
	held [len(names)]atomic.Int32
}

// goroutines has each goroutine that holds a lock, by its number.
var goroutines sync.Map

// check panics if g holds a lock of the given place or a later one.
func (g *goroutine) check(place int) {
	for later := place; later < len(names); later++ {
		if g.held[later].Load() > 0 {
			panic(fmt.Sprintf("BUG: websocket: lock order: %s is locked by a goroutine that holds %s", names[place], names[later]))
		}
	}
}

// forget removes g if it holds no lock.
func (g *goroutine) forget() {
	for i := range g.held {
		if g.held[i].Load() != 0 {
			return
		}
	}
	goroutines.Delete(g.id)
}

// current returns the calling goroutine. runtime.Stack takes microseconds: it is
// called once for each lock.
func current() *goroutine {
	var buf [64]byte
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		panic(err)
	}
	if g, ok := goroutines.Load(id); ok {
		return g.(*goroutine)
	}
	g := &goroutine{id: id}
	goroutines.Store(id, g)
	return g
}
