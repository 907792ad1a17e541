package serve

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A Room holds the connections that broadcasts go to, for libraries that do not
// keep count of them. The zero value is empty.
type Room[C comparable] struct {
	members atomic.Pointer[[]C] // never changed in place, so that a broadcast needs no lock

	mu sync.Mutex // held while members are replaced
}

// Enter adds c.
func (r *Room[C]) Enter(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(append(slices.Clone(r.Members()), c))
}

// Leave removes c.
func (r *Room[C]) Leave(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(slices.DeleteFunc(slices.Clone(r.Members()), func(m C) bool { return m == c }))
}

// Members returns who is in the room at this moment; not to be changed.
func (r *Room[C]) Members() []C {
	if members := r.members.Load(); members != nil {
		return *members
	}
	return nil
}

func (r *Room[C]) replace(members []C) { r.members.Store(&members) }
