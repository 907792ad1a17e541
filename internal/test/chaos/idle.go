package chaos

import (
	"context"
	"runtime"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
)

// calmTime is the time in which an idle round is measured.
const calmTime = 300 * time.Millisecond

// mostIdle10 is the limit of processor time, in tenths of one processor.
const mostIdle10 = 3

// checkCalm checks that idle servers use no processor time: on each, the
// handler of one connection in each style waits, and the peer has reset the
// connection, with unread input.
func (r *round) checkCalm(ctx context.Context) {
	if cpuTime() == 0 || !r.long { // the limits would end the connections
		return
	}
	var want int64
	for _, t := range r.targets {
		for _, style := range styles {
			if style != "/serve" && t != r.targets[0] && t.form.name != "hijacked TCP" || style == "/partial" {
				continue
			}
			want += r.hold(ctx, t, style)
		}
	}
	since := time.Now()
	r.within(since, func() bool { return r.holds.Load() >= want }, func() {
		r.stuck(inTime, nil, "%d handlers run, %d should", r.holds.Load(), want)
	})
	least := time.Hour
	for range 3 { // other goroutines of the process may run
		runtime.GC()
		before, began := cpuTime(), time.Now()
		time.Sleep(calmTime)
		used := cpuTime() - before
		used = used * calmTime / time.Since(began)
		if least = min(least, used); least < calmTime*mostIdle10/10 {
			break
		}
	}
	if least >= calmTime*mostIdle10/10 {
		r.stuck(idle, nil, "%v of processor time are used in %v in which nothing happens", least, calmTime)
	}
	close(r.held)
}

// hold makes the handler of a connection wait, fills the receive buffers with
// messages, and resets the connection.
func (r *round) hold(ctx context.Context, t *target, style string) int64 {
	p := t.newPeer(ctx, kind{name: "reset while a handler waits"}, style, 1)
	before := r.holds.Load()
	if p.connect() != nil {
		return 0
	}
	_ = p.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // the server stops reading
	_ = p.message(actHold, 0, headSize)
	for range 30 {
		_ = p.message(actNothing, 0, 1000)
	}
	since := time.Now()
	r.within(since, func() bool { return r.holds.Load() > before }, func() {})
	p.abandon()
	return 1
}

// cpuTime returns the processor time of the process, 0 if it is unknown.
func cpuTime() time.Duration {
	user, system := usage.CPU()
	return user + system
}
