//go:build !portable

package netloop

import "syscall"

// queueModels are the models of the kernel's events. The first is that of this
// system.
var queueModels = []struct {
	name string
	make func(w *world) queueModel
}{
	{"epoll", func(w *world) queueModel { return &epollModel{w: w} }},
	{"kqueue", newKqueueModel},
}

// An epollModel is a model of epoll.
type epollModel struct {
	w                   *world
	events              uint32
	registered, oneshot bool // oneshot: no events until the next epoll_ctl
}

func (m *epollModel) watch(_, to interest) {
	m.registered, m.oneshot, m.events = true, false, to.events()
}

func (m *epollModel) closed()        { m.registered = false }
func (m *epollModel) outputChanged() {}
func (m *epollModel) filters() int   { return 1 }
func (m *epollModel) state() bool    { return m.oneshot }

func (m *epollModel) hungUp() bool { return m.w.reset || m.w.shut || m.w.eof && m.w.finSent }

func (m *epollModel) pending(filter int) (events uint32) {
	w := m.w
	if !m.registered || m.oneshot || filter > 0 {
		return 0
	}
	if w.input > 0 || w.eof || w.reset || w.shut {
		events |= syscall.EPOLLIN
	}
	if w.space > 0 || w.writeFails || w.reset || w.shut {
		events |= syscall.EPOLLOUT
	}
	events &= m.events
	if m.hungUp() {
		events |= syscall.EPOLLHUP
	}
	if w.reset {
		events |= syscall.EPOLLERR
	}
	return events
}

func (m *epollModel) report(filter int) uint32 {
	events := m.pending(filter)
	m.oneshot = m.events&syscall.EPOLLONESHOT != 0
	return events
}
