//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import "sync"

// This file is the part of the kqueue loop that makes no system calls, so that
// it is tested on Linux too: the changelists, the events, and the wait of a
// leader. kqueue_bsd.go makes the system calls.
//
// A descriptor has two filters, and each is reported as an event of its own:
//
//	interest                  EVFILT_READ   EVFILT_WRITE
//	input                     yes           no
//	input, output             yes           yes
//	output, or the hang-up    no            yes
//
// EVFILT_READ is level-triggered, as epoll is: it is reported as long as there
// is input, or the input has ended. EVFILT_WRITE has EV_CLEAR: it is reported
// when it is added, when a socket that was full has space, and when the output
// has ended (EV_EOF), by a reset or by this side, once each. The first report
// is superfluous if only the hang-up is wanted. With every change of the
// interest it is added again, so that it is reported again if it still holds:
// the first report may have been handled when it could have no effect.
//
// EV_EOF of EVFILT_READ may be reported with input before the end, so the
// event is one of input, and read finds the end. fflags has the error of a
// reset, which the next read or sysHungUp returns.
//
// Closing a descriptor removes its filters. Events of it that a leader has got
// already may be handled for another socket with the same descriptor, as on
// Linux: each event is a hint, which the handler verifies.

// keventFilters is a set of filters of a descriptor.
type keventFilters uint8

const (
	filterRead  keventFilters = 1 << iota // EVFILT_READ
	filterWrite                           // EVFILT_WRITE with EV_CLEAR
)

// filters returns the filters that report the set.
func (i interest) filters() keventFilters {
	switch {
	case i == 0:
		return 0
	case i == interestRead:
		return filterRead
	case i&interestRead != 0:
		return filterRead | filterWrite
	}
	return filterWrite
}

// filterChanges returns the filters to be added and to be deleted when the
// interest changes. No filter is in both.
func filterChanges(from, to interest) (add, remove keventFilters) {
	before, after := from.filters(), to.filters()
	return after&^before | after&filterWrite, before &^ after
}

// keventBits returns the bits of the event that a filter reports. eof is
// EV_EOF.
func keventBits(filter keventFilters, eof bool) uint32 {
	switch {
	case filter == filterRead:
		return readyInput
	case eof:
		return readyOutput | readyHangUp
	}
	return readyOutput
}

// A waitGate guards descriptors that a leader waits for in a system call while
// others may close them: they are closed by the leader then.
type waitGate struct {
	mu    sync.Mutex // guards state; held while the leader's wait is ended
	state waitState
}

type waitState uint8

const (
	waitIdle    waitState = iota // no leader waits
	waitRunning                  // a leader waits
	waitClosing                  // the same, and the leader is to close the descriptors
	waitClosed                   // the descriptors are closed
)

// enter begins a wait. It returns false if the descriptors are closed.
func (g *waitGate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != waitIdle {
		return false
	}
	g.state = waitRunning
	return true
}

// leave ends a wait. It calls closed and returns false if the descriptors must
// be closed.
func (g *waitGate) leave(closed func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == waitClosing {
		g.state = waitClosed
		closed()
		return false
	}
	g.state = waitIdle
	return true
}

// close calls closed if no leader waits. Otherwise it calls notify, which ends
// the wait, and leave calls closed.
func (g *waitGate) close(notify, closed func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch g.state {
	case waitIdle:
		g.state = waitClosed
		closed()
	case waitRunning:
		g.state = waitClosing
		notify()
	}
}

// awaitEvents waits until there are events, and returns their number; 0 if the
// descriptors are closed or receive fails. receive is kevent: it returns events
// and waits for them if block is true. A notification is an event too.
func (g *waitGate) awaitEvents(events []pollEvent, kicks *kickQueue, receive func(events []pollEvent, block bool) (int, error), closed func()) int {
	for {
		if !g.enter() {
			return 0
		}
		n, err := receive(events, kicks.size.Load() == 0) // a kick after that notifies
		if !g.leave(closed) || err != nil {
			return 0
		}
		if n += kicks.appendTo(events[n:]); n > 0 {
			return n
		}
	}
}
