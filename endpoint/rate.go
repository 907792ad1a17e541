package endpoint

import (
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file bounds how much a peer may send in a second. Nothing of it is used
// unless one of the rates is set.

// rate is an amount per second: 0 is no limit. It is kept as a moment up to which
// the peer has used what it may send: each unit moves that on by a second's part,
// and it may be one second ahead of the time.
type rate struct{ used time.Duration }

// take takes n units at the time now, and reports whether the peer may send them.
func (r *rate) take(now time.Duration, n, perSecond int64) bool {
	if perSecond <= 0 {
		return true
	}
	r.used = max(r.used, now)
	const longest = 1 << 33 // so that the product is no more than 2^63
	r.used += time.Duration(min(n, longest)) * time.Second / time.Duration(perSecond)
	return r.used-now <= time.Second
}

// rates are what a peer has sent lately.
type rates struct{ messages, bytes, controls rate }

// limitsRates reports whether a rate is limited.
func (l *Limits) limitsRates() bool {
	return l.MessagesPerSecond > 0 || l.BytesPerSecond > 0 || l.ControlsPerSecond > 0
}

// frame counts a frame by its header.
func (r *rates) frame(h wire.Header, t *SharedConfig) error {
	l := &t.limits
	switch now := t.now(); {
	case h.Opcode.IsData() && !r.messages.take(now, 1, l.MessagesPerSecond):
		return tooFast("messages", "Limits.MessagesPerSecond", l.MessagesPerSecond)
	case h.Opcode.IsControl() && h.Opcode != wire.Close && !r.controls.take(now, 1, l.ControlsPerSecond):
		return tooFast("control frames", "Limits.ControlsPerSecond", l.ControlsPerSecond)
	}
	return nil
}

// payload counts n bytes of payload that have arrived.
func (r *rates) payload(n int, t *SharedConfig) error {
	l := &t.limits
	if l.BytesPerSecond > 0 && !r.bytes.take(t.now(), int64(n), l.BytesPerSecond) {
		return tooFast("bytes", "Limits.BytesPerSecond", l.BytesPerSecond)
	}
	return nil
}

// tooFast returns the error for a rate that was passed.
func tooFast(what, option string, perSecond int64) error {
	return &LimitError{Limit: what + " per second", Option: option, Max: perSecond, Seen: perSecond + 1, rule: errRateLimit}
}
