//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

// canPoll is whether this system has a polled loop.
const canPoll = true

// pollers returns the polled loop.
func (l *Loop) pollers() *polledLoop {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polled == nil {
		l.polled = &polledLoop{Config: l.cfg, sys: kernel}
	}
	return l.polled
}
