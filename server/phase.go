package server

import "sync/atomic"

// phase is the stage of a connection's life. It only increases:
//
//	accepted   → requested   the first byte of the request has arrived
//	requested  → answering   the request is complete
//	answering  → open        the 101 response is written
//	open       → ended       Handler.Close is called next
//	any other  → ended       refused or aborted
//
// Run, Adopt and Accept start a connection in phaseAnswering. Shutdown ends one
// in phaseAccepted or phaseRequested; the loop's goroutine makes every other
// step.
type phase uint32

const (
	phaseAccepted  phase = iota // no byte of the request has arrived
	phaseRequested              // a part of the request has arrived
	phaseAnswering              // the request is complete; the connection is not open yet
	phaseOpen                   // between the calls of Handler.Open and Handler.Close
	phaseEnded                  // refused, or Handler.Close is called
)

// opening reports whether the opening handshake is not complete.
func (p phase) opening() bool { return p < phaseOpen }

// atomicPhase is a phase that several goroutines read and change.
type atomicPhase struct{ value atomic.Uint32 }

func (a *atomicPhase) load() phase { return phase(a.value.Load()) }

func (a *atomicPhase) store(p phase) { a.value.Store(uint32(p)) }

// change sets p if the phase is old, and reports whether it was.
func (a *atomicPhase) change(old, p phase) bool {
	return a.value.CompareAndSwap(uint32(old), uint32(p))
}

// end sets phaseEnded, and reports whether this call did it.
func (a *atomicPhase) end() bool { return phase(a.value.Swap(uint32(phaseEnded))) != phaseEnded }
