//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A kqueueModel is a model of kqueue for one descriptor.
type kqueueModel struct {
	w          *world
	never      keventFilters // are not registered, by mistake
	registered keventFilters
	active     bool // EVFILT_WRITE is to be reported: with EV_CLEAR, each change is reported once
}

func newKqueueModel(w *world) queueModel { return &kqueueModel{w: w} }

// watch makes the changes as kevent does: deleting a filter that is not
// registered is an error, and adding one that is registered checks whether it
// can be reported.
func (m *kqueueModel) watch(from, to interest) {
	add, remove := filterChanges(from, to)
	add &^= m.never
	remove &^= m.never
	if from.filters()&^m.never != m.registered || remove&^m.registered != 0 || add&remove != 0 {
		m.w.fault("filters %b are added and %b deleted, registered are %b", add, remove, m.registered)
	}
	m.registered = m.registered&^remove | add
	if remove&filterWrite != 0 {
		m.active = false
	}
	if add&filterWrite != 0 && m.writable() {
		m.active = true
	}
}

func (m *kqueueModel) closed() { m.registered, m.active = 0, false }

func (m *kqueueModel) outputChanged() {
	if m.registered&filterWrite != 0 {
		m.active = true
	}
}

// hungUp is true when the socket has no peer any more. When both sides have sent
// FIN, that is not so before ours is acknowledged, which need not happen.
func (m *kqueueModel) hungUp() bool { return m.w.reset }

func (m *kqueueModel) filters() int { return 2 }

func (m *kqueueModel) state() bool { return m.active }

// ended reports whether the output has ended.
func (m *kqueueModel) ended() bool { return m.w.reset || m.w.shut || m.w.finSent }

func (m *kqueueModel) writable() bool { return m.w.space > 0 || m.w.writeFails || m.ended() }

func (m *kqueueModel) pending(filter int) uint32 {
	w := m.w
	eof := w.eof || w.reset || w.shut
	switch {
	case filter == 0 && m.registered&filterRead != 0 && (w.input > 0 || eof):
		return keventBits(filterRead, eof)
	case filter == 1 && m.registered&filterWrite != 0 && m.active && m.writable():
		return keventBits(filterWrite, m.ended())
	}
	return 0
}

func (m *kqueueModel) report(filter int) uint32 {
	events := m.pending(filter)
	if filter == 1 {
		m.active = false
	}
	return events
}

// followNames performs steps over the model of kqueue.
func followNames(t *testing.T, names ...string) *world {
	t.Helper()
	e := newExplorer()
	e.queue = newKqueueModel
	var path []*step
	for _, name := range names {
		i := slices.IndexFunc(steps, func(s *step) bool { return s.name == name })
		if i < 0 {
			t.Fatalf("there is no step %q", name)
		}
		path = append(path, steps[i])
	}
	w := e.follow(path)
	if len(w.faults) > 0 {
		t.Errorf("after %q: %s", names, strings.Join(w.faults, "; "))
	}
	return w
}

// Events of kqueue that epoll does not have, or has in another form.
func TestEventsOfKqueue(t *testing.T) {
	const input, output = "the kernel reports", "the kernel reports the other filter"
	for name, tt := range map[string]struct {
		steps []string
		want  func(w *world) bool
	}{
		"input before EV_EOF is read": {
			[]string{"peer sends", "peer closes its side", input, "return", "return"},
			func(w *world) bool { return w.undelivered == 0 && !w.eofSeen && w.queue.pending(0) == readyInput },
		},
		"the end behind the input": {
			[]string{"peer sends", "peer closes its side", input, "return", "return", input, "return"},
			func(w *world) bool { return w.eofSeen && w.closed == 1 },
		},
		"two filters are two events": {
			[]string{"send", "peer sends", "peer reads"},
			func(w *world) bool { return w.queue.pending(0) == readyInput && w.queue.pending(1) == readyOutput },
		},
		"output is reported once": {
			[]string{"send", "peer reads", output},
			func(w *world) bool { return w.socket.out == nil && w.queue.pending(1) == 0 },
		},
		"a reset while reading is paused": {
			[]string{"peer sends", input, "return", "return not ready", output, "peer resets"},
			func(w *world) bool { return w.queue.pending(0) == 0 && w.queue.pending(1) == readyOutput|readyHangUp },
		},
		"the end after that": {
			[]string{"peer sends", input, "return", "return not ready", output, "peer resets", output, "return"},
			func(w *world) bool { return w.closed == 1 && w.told },
		},
		"an event of a descriptor that is used again": {
			[]string{oldHangUp, "return"},
			func(w *world) bool {
				return w.closed == 0 && w.socket.state == stateOpen && w.socket.interest == interestRead
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if w := followNames(t, tt.steps...); !tt.want(w) {
				t.Errorf("state %x; pending %#x, %#x", w.state(), w.queue.pending(0), w.queue.pending(1))
			}
		})
	}
}

// The exploration notices a filter that is not registered.
func TestExplorationNoticesLostFilter(t *testing.T) {
	for _, never := range []keventFilters{filterRead, filterWrite} {
		e := newExplorer()
		e.queue = func(w *world) queueModel { return &kqueueModel{w: w, never: never} }
		if n, err := e.explore(anyDepth); !errors.Is(err, errFault) {
			t.Errorf("without filter %b: %v in %d states", never, err, n)
		}
	}
}

// Changes lead from the filters of one interest to those of another. The filter
// of output is always added again: its condition may hold already.
func TestFilterChanges(t *testing.T) {
	all := []interest{0, interestRead, interestWrite, interestRead | interestWrite, interestHangUp, interestNothing}
	for _, from := range all {
		for _, to := range all[1:] {
			add, remove := filterChanges(from, to)
			before := from.filters()
			if before&^remove|add != to.filters() || remove&^before != 0 || add&remove != 0 {
				t.Errorf("from %b to %b: %b are added and %b deleted", from, to, add, remove)
			}
			if to != interestRead && add&filterWrite == 0 {
				t.Errorf("from %b to %b: output is not added", from, to)
			}
			if to.filters() == 0 {
				t.Errorf("interest %b has no filter, which the hang-up needs", to)
			}
		}
	}
}

// A queue that is closed while a leader waits is closed by the leader.
func TestQueueIsClosedByTheLeaderThatWaits(t *testing.T) {
	var g waitGate
	var kicks kickQueue
	waits, notified := make(chan bool), make(chan struct{})
	closed := 0
	done := make(chan int)
	go func() {
		done <- g.awaitEvents(make([]pollEvent, 2), &kicks, func(_ []pollEvent, block bool) (int, error) {
			waits <- block
			<-notified
			return 1, nil
		}, func() { closed++ })
	}()
	if !<-waits {
		t.Error("the leader does not wait")
	}
	for range 2 {
		g.close(func() { close(notified) }, func() { t.Error("closed while the leader waits") })
	}
	if n := <-done; n != 0 || closed != 1 {
		t.Errorf("%d events, closed %d times", n, closed)
	}
	g.close(func() { t.Error("notified after the end") }, func() { t.Error("closed again") })
}

// A queue that is closed while its leader handles events is closed at once. The
// leader then does not wait.
func TestQueueIsClosedWithoutLeader(t *testing.T) {
	var g waitGate
	closed := 0
	g.close(func() { t.Error("notified without a wait") }, func() { closed++ })
	n := g.awaitEvents(make([]pollEvent, 2), new(kickQueue), func([]pollEvent, bool) (int, error) {
		t.Error("waits for a closed queue")
		return 0, nil
	}, func() { t.Error("closed again") })
	if n != 0 || closed != 1 {
		t.Errorf("%d events, closed %d times", n, closed)
	}
}

// Kicks are handled with the events, and a leader that has some does not wait.
// A wait without events is repeated; one that fails ends the leader.
func TestLeaderWithKicksDoesNotWait(t *testing.T) {
	var g waitGate
	kicks := kickQueue{fds: []int32{5, 6}}
	kicks.size.Store(2)
	events := make([]pollEvent, 2)
	var blocked []bool
	receive := func(events []pollEvent, block bool) (int, error) {
		blocked = append(blocked, block)
		switch len(blocked) {
		case 1:
			events[0] = pollEvent{Events: readyInput, Fd: 4}
			return 1, nil
		case 3:
			return 0, nil
		case 4:
			events[0] = pollEvent{Events: readyOutput, Fd: 7}
			return 1, nil
		case 5:
			return 0, errors.New("failed")
		}
		return 0, nil
	}
	for i, want := range [][]int32{{4, 5}, {6}, {7}, nil} {
		n := g.awaitEvents(events, &kicks, receive, func() { t.Error("closed") })
		var got []int32
		for _, e := range events[:n] {
			got = append(got, e.Fd)
		}
		if !slices.Equal(got, want) {
			t.Errorf("wait %d: %d, want %d", i, got, want)
		}
	}
	if want := []bool{false, false, true, true, true}; !slices.Equal(blocked, want) {
		t.Errorf("blocked: %v, want %v", blocked, want)
	}
}
