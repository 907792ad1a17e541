package serve

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A Group holds the connections that receive broadcasts. The zero value is
// empty. All goroutines may call its methods.
type Group[C comparable] struct {
	members atomic.Pointer[[]C] // replaced, never changed: a broadcast takes no lock

	mu sync.Mutex // held while members is replaced
}

// Add adds c.
func (g *Group[C]) Add(c C) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replace(append(slices.Clone(g.Members()), c))
}

// Remove removes c.
func (g *Group[C]) Remove(c C) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replace(slices.DeleteFunc(slices.Clone(g.Members()), func(m C) bool { return m == c }))
}

// Members returns the connections. The caller must not change the slice.
func (g *Group[C]) Members() []C {
	if members := g.members.Load(); members != nil {
		return *members
	}
	return nil
}

func (g *Group[C]) replace(members []C) { g.members.Store(&members) }
