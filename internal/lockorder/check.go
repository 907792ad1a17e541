//go:build lockcheck

package lockorder

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
)

type (
	Handlers  struct{ mutex[handlers] }
	Fragments struct{ mutex[fragments] }
	Sender    struct{ mutex[sender] }
	Socket    struct{ mutex[socket] }
	SendQueue struct{ mutex[sendQueue] }
)

// rank is the type of a lock, which has a place in the order.
type rank interface{ place() int }

type (
	handlers  struct{}
	fragments struct{}
	sender    struct{}
	socket    struct{}
	sendQueue struct{}
)

func (handlers) place() int  { return 0 }
func (fragments) place() int { return 1 }
func (sender) place() int    { return 2 }
func (socket) place() int    { return 3 }
func (sendQueue) place() int { return 4 }

var names = [...]string{"Handlers", "Fragments", "Sender", "Socket", "SendQueue"}

// mutex is a sync.Mutex whose holder is known.
type mutex[R rank] struct{ mu sync.Mutex }

// Lock locks m. It panics if the goroutine holds a lock that comes later, or one of
// the same type.
func (m *mutex[R]) Lock() {
	var r R
	acquire(r.place())
	m.mu.Lock()
}

// TryLock tries to lock m. It cannot wait, and so the order does not matter.
func (m *mutex[R]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	var r R
	held.add(r.place())
	return true
}

// Unlock unlocks m.
func (m *mutex[R]) Unlock() {
	var r R
	held.remove(r.place())
	m.mu.Unlock()
}

// held are the locks that each goroutine holds.
var held = holders{counts: make(map[uint64]*[len(names)]int)}

type holders struct {
	mu     sync.Mutex // guards counts
	counts map[uint64]*[len(names)]int
}

// acquire notes that the calling goroutine locks a mutex of the given place.
func acquire(place int) {
	for later := place; later < len(names); later++ {
		if held.count(later) > 0 {
			panic(fmt.Sprintf("BUG: websocket: lock order: %s is locked by a goroutine that holds %s", names[place], names[later]))
		}
	}
	held.add(place)
}

func (h *holders) count(place int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.counts[goroutine()]; c != nil {
		return c[place]
	}
	return 0
}

func (h *holders) add(place int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := goroutine()
	if h.counts[id] == nil {
		h.counts[id] = new([len(names)]int)
	}
	h.counts[id][place]++
}

func (h *holders) remove(place int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := goroutine()
	c := h.counts[id]
	if c == nil || c[place] == 0 {
		panic("BUG: websocket: lock order: " + names[place] + " is unlocked by a goroutine that does not hold it")
	}
	if c[place]--; *c == [len(names)]int{} {
		delete(h.counts, id)
	}
}

// goroutine returns the number of the calling goroutine.
func goroutine() uint64 {
	var buf [64]byte
	text := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		panic(err)
	}
	return id
}
