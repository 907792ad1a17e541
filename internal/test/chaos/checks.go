package chaos

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fibersock/fibersock/server"
)

// monitor checks all open connections every 20 ms.
func (r *round) monitor(stop <-chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		open := slices.Clone(r.open)
		r.mu.Unlock()
		for _, k := range open {
			k.target.look(k)
		}
	}
}

// look checks the age and the backlog of an open connection.
func (t *target) look(k *conn) {
	c := k.server.Load()
	if n, most := c.Buffered(), t.mostBuffered(k); n > most {
		k.once("buffered", func() {
			t.violated(bounded, k, "%d bytes are buffered, MaxBacklog is %d", n, t.srv.MaxBacklog)
		})
	}
	k.mu.Lock()
	limits := slices.Clone(k.limits)
	k.mu.Unlock()
	if !t.long {
		s := t.srv
		limits = append(limits, limit{k.began, s.MaxLifetime*11/10 + s.CloseTimeout + s.WriteTimeout, "MaxLifetime"})
	}
	for _, l := range limits {
		if age := time.Since(l.since); age > l.within+t.slack(l.since) {
			k.once("old", func() {
				t.stuck(inTime, k, "the connection should have ended by %s after %v and lasts for %v; %d bytes are buffered, state %v", l.option, l.within, age, c.Buffered(), c.State())
			})
		}
	}
}

// mostBuffered is the limit of a connection's backlog: MaxBacklog, or a message
// for an empty backlog, and control frames.
func (t *target) mostBuffered(k *conn) int {
	const largest, slack = 100_000, 64 << 10
	most := t.srv.MaxBacklog
	if k != nil && k.kind.pongs {
		most += most/2 + 64<<10 // see Server.MaxBacklog
	}
	if k != nil && k.kind.flood { // it receives only broadcasts
		return most + slack/2
	}
	if t.dropsOldest() { // the newest message and the one being written are kept
		return most + 2*largest + slack
	}
	return most + largest + slack
}

// final checks a connection after the round.
func (t *target) final(k *conn) {
	if err := k.life.final(); err != nil {
		t.violated(oneLife, k, "%v", err)
		return
	}
	opened, _ := k.life.state()
	k.mu.Lock()
	end, sent, upgraded, why := k.end, k.sent, k.upgraded, k.why
	k.mu.Unlock()
	if !opened {
		switch {
		case upgraded:
			t.violated(oneLife, k, "the peer has received the 101, and Open was not called")
		case k.faithful && end != nil && (t.long || t.stalls.since(k.began) < 100*time.Millisecond):
			t.violated(deserved, k, "the peer cannot connect: %v", end.err)
		}
		return
	}
	if end == nil {
		return
	}
	if k.faithful {
		t.checkEnd(k, end, why)
	}
	if end.closed && !t.dropsOldest() {
		for source, n := range sent {
			if got := end.received[source]; got != n {
				t.violated(delivered, k, "Send has accepted %d messages of stream %s, %d have arrived before the Close", n, streamName(source), got)
			}
		}
	}
	var closed *server.CloseError
	if errors.As(why, &closed) && end.sentClose && !k.disturbed.Load() && k.style != "/hostile" {
		if n := k.handled.Load(); n != end.messages {
			t.violated(delivered, k, "the peer has sent %d messages before its Close, handlers have received %d", end.messages, n)
		}
	}
}

// checkEnd checks the end of the connection of a peer that behaves.
func (t *target) checkEnd(k *conn, end *peerEnd, why error) {
	if problem := t.undeserved(k, end, why); problem != "" {
		t.violated(deserved, k, "%s: the server says %v, the peer %v, with a Close: %v", problem, why, end.err, end.closed)
	}
}

func (t *target) undeserved(k *conn, end *peerEnd, why error) string {
	disturbed := k.disturbed.Load() || t.ending == midway
	var closed *server.CloseError
	var failed *server.FailError
	var lost *server.LostError
	var full *server.BacklogError
	switch {
	case errors.As(why, &closed):
		switch {
		case !end.sentClose || closed.Code != end.sentCode:
			return fmt.Sprintf("the peer has sent the code %d: %v", end.sentCode, end.sentClose)
		case k.kind.reads == slowly && (!t.long || end.at.Sub(k.endedTime()) > lingers): // the rest is dropped, in a short round by WriteTimeout, which measures progress by the buffer
		case !end.closed && !disturbed:
			return "the closing handshake is done, and the server's Close has not arrived"
		}
		return ""
	case disturbed:
		return ""
	case errors.As(why, &failed):
		return "the connection has failed"
	case errors.As(why, &lost) && errors.As(why, &full):
		if (t.policy == server.SlowDropNewest || t.policy == server.SlowDropOldest) && !k.fragments.Load() {
			return "the policy is to drop messages"
		}
		return ""
	case !t.long && t.stalls.since(k.began) > 100*time.Millisecond:
		return "" // a time limit may have passed during a stall
	case !t.long && k.kind.reads == slowly && lateFor(why, "CloseTimeout"):
		return "" // the Close follows the backlog
	default:
		return "the connection is lost"
	}
}

// lingers is about the time in which the server flushes after the closing
// handshake.
const lingers = 900 * time.Millisecond

// lateFor reports whether an error is due to the time limit option.
func lateFor(why error, option string) bool {
	var late *server.TimeoutError
	return errors.As(why, &late) && late.Option == option
}

// finalStats checks the statistics after the round.
func (t *target) finalStats() {
	var got uint64
	for _, k := range t.conns {
		if k.target == t && k.end != nil {
			got += k.end.count
		}
	}
	for _, problem := range t.statsProblems(t.srv.Stats(), got) {
		t.violated(statistics, nil, "%v: %s", t, problem)
	}
}

// statsProblems compares statistics with the events. received is the least
// number of messages that peers have received.
func (t *target) statsProblems(st server.Stats, received uint64) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if st.Open != 0 || st.Opening != 0 || st.Backlog != 0 || st.Blocked != 0 {
		wrong("Open %d, Opening %d, Backlog %d, Blocked %d at the end", st.Open, st.Opening, st.Backlog, st.Blocked)
	}
	if n := uint64(t.opens.Load()); st.Accepted != n {
		wrong("Accepted %d, Open was called %d times", st.Accepted, n)
	}
	if n := st.Ended.ByClient + st.Ended.ByServer + st.Ended.Failed + st.Ended.Lost; n != st.Accepted {
		wrong("Ended %+v are %d, Accepted %d", st.Ended, n, st.Accepted)
	}
	least := uint64(t.panics.Load())
	if most := least + uint64(t.goexits.Load()+t.callbacks.Load()); st.Panics < least || st.Panics > most {
		wrong("Panics %d, there were %d to %d", st.Panics, least, most)
	}
	if n := uint64(t.handled.Load()); st.Received.Messages < n {
		wrong("Received.Messages %d, handlers have received %d", st.Received.Messages, n)
	}
	if st.Sent.Messages < received {
		wrong("Sent.Messages %d, peers have received %d", st.Sent.Messages, received)
	}
	refused := st.Refused.Status3xx + st.Refused.Status4xx + st.Refused.Status5xx
	if n := uint64(t.dialed.Load()); !t.form.hijacked && t.ending == afterPeers && st.Accepted+refused+st.Unfinished != n {
		wrong("Accepted %d, Refused %d, Unfinished %d, and peers have connected %d times", st.Accepted, refused, st.Unfinished, n)
	}
	if t.long && st.Timeouts != (server.Timeouts{}) {
		wrong("Timeouts %+v, and all limits are a minute", st.Timeouts)
	}
	if most := t.srv.MaxTotalBacklog + (workers+probes)*t.mostBuffered(nil); st.BacklogPeak > uint64(most) {
		wrong("BacklogPeak %d is more than the limits allow: %d", st.BacklogPeak, most)
	}
	return problems
}

// echoPeriod is the time between two messages of a probe.
const echoPeriod = 10 * time.Millisecond

// mostEcho is the limit of the 99th percentile of echo times. It does not
// measure speed, but finds a server that is blocked.
const mostEcho = 1500 * time.Millisecond

func (r *round) checkEchoes() {
	n, _, p99, worst := r.echoes.summary()
	if n == 0 {
		if r.stalls.since(r.began) < r.time/2 {
			r.violated(prompt, nil, "no probe received an echo")
		}
		return
	}
	if p99 > mostEcho+2*r.stalls.since(r.began) {
		r.violated(prompt, nil, "the 99th percentile of %d echoes is %v, the longest %v", n, p99, worst)
	}
}
