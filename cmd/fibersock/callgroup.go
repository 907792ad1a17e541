package main

import "sync"

// callGroup waits for running calls, of which new ones may begin until it does.
type callGroup struct {
	mu    sync.Mutex
	ended bool // guarded by mu
	calls sync.WaitGroup
}

// begin reports whether a call may begin. If so, the caller must call end.
func (g *callGroup) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.calls.Add(1)
	}
	return !g.ended
}

func (g *callGroup) end() { g.calls.Done() }

// wait lets no more calls begin and waits for those that run.
func (g *callGroup) wait() {
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	g.calls.Wait()
}
