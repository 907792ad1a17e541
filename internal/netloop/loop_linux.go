//go:build !portable

package netloop

// canPoll is whether this system has epoll.
const canPoll = true

// pollers returns the epoll loop.
func (l *Loop) pollers() *epollLoop {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		l.epoll = &epollLoop{Config: l.cfg, sys: kernel}
	}
	return l.epoll
}
