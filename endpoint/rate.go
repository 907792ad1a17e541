package endpoint

import (
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file enforces the limits per second.

// rate is an amount per second. used is the time up to which the peer has used
// its amount: each unit advances it by 1/n of a second, and it may be ahead of
// the current time by one second. Both are durations since rates.epoch.
type rate struct{ used time.Duration }

// take takes n units at the time now and reports whether the limit allows them.
// perSecond 0 or less is no limit.
func (r *rate) take(now time.Duration, n, perSecond int64) bool {
	if perSecond <= 0 {
		return true
	}
	r.used = max(r.used, now)
	const longest = 1 << 33 // the product stays below 2^63
	r.used += time.Duration(min(n, longest)) * time.Second / time.Duration(perSecond)
	return r.used-now <= time.Second
}

// rates are the rates of a peer.
type rates struct {
	epoch                     time.Time // of the first frame
	messages, bytes, controls rate
}

// rates returns the rates of the peer, allocated on the first call.
func (e *Endpoint) rates() *rates {
	ext := e.sender.ensureExt()
	if ext.rates == nil {
		ext.rates = new(rates)
	}
	return ext.rates
}

// since returns the time since the epoch.
func (r *rates) since(now time.Time) time.Duration {
	if r.epoch.IsZero() {
		r.epoch = now
	}
	return now.Sub(r.epoch)
}

// frame counts a frame whose header has arrived.
func (r *rates) frame(h wire.Header, l *Limits, now time.Time) error {
	switch at := r.since(now); {
	case h.Opcode.IsData() && !r.messages.take(at, 1, l.MessagesPerSecond):
		return rateError("messages", "Limits.MessagesPerSecond", l.MessagesPerSecond)
	case h.Opcode.IsControl() && h.Opcode != wire.Close && !r.controls.take(at, 1, l.ControlsPerSecond):
		return rateError("control frames", "Limits.ControlsPerSecond", l.ControlsPerSecond)
	}
	return nil
}

// payload counts n payload bytes that have arrived.
func (r *rates) payload(n int, l *Limits, now time.Time) error {
	if !r.bytes.take(r.since(now), int64(n), l.BytesPerSecond) {
		return rateError("bytes", "Limits.BytesPerSecond", l.BytesPerSecond)
	}
	return nil
}

func rateError(unit, option string, perSecond int64) error {
	return &LimitError{Limit: unit + " per second", Option: option, Max: perSecond, Seen: perSecond + 1, rule: errRateLimit}
}
