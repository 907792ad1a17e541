package endpoint

import (
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file enforces the limits per second.

// rateKind is a limit per second.
type rateKind uint8

const (
	messageRate rateKind = iota
	byteRate
	controlRate

	rateKinds = int(controlRate) + 1
)

// rateNames are the texts of a LimitError for each limit per second.
var rateNames = [rateKinds]struct{ limit, option string }{
	messageRate: {"messages per second", "Limits.MessagesPerSecond"},
	byteRate:    {"bytes per second", "Limits.BytesPerSecond"},
	controlRate: {"control frames per second", "Limits.ControlsPerSecond"},
}

// rates are the rates of a peer. used is, for each limit, the time up to which
// the peer has used its amount: each unit advances it by 1/n of a second, and
// it may be ahead of the current time by one second. It is a duration since
// epoch.
type rates struct {
	epoch time.Time // of the first frame
	used  [rateKinds]time.Duration
}

// takeRate takes n units of a limit at the time now. The error is a
// *LimitError. A limit of 0 or less is none.
func (e *Endpoint) takeRate(kind rateKind, n int, l *Limits, now time.Time) error {
	ext := e.sender.ensureExt()
	if ext.rates == nil {
		ext.rates = &rates{epoch: now}
	}
	perSecond := [rateKinds]int64{l.MessagesPerSecond, l.BytesPerSecond, l.ControlsPerSecond}[kind]
	if perSecond <= 0 {
		return nil
	}
	const longest = 1 << 33 // the product stays below 2^63
	at := now.Sub(ext.rates.epoch)
	used := &ext.rates.used[kind]
	*used = max(*used, at) + time.Duration(min(int64(n), longest))*time.Second/time.Duration(perSecond)
	if *used-at <= time.Second {
		return nil
	}
	names := &rateNames[kind]
	return &LimitError{Limit: names.limit, Option: names.option, Max: perSecond, Seen: perSecond + 1, rule: errRateLimit}
}

// takeFrame takes the frame whose header has arrived.
func (e *Endpoint) takeFrame(l *Limits, now time.Time) error {
	switch op := e.receiver.frame.Opcode; {
	case op.IsData():
		return e.takeRate(messageRate, 1, l, now)
	case op.IsControl() && op != wire.Close:
		return e.takeRate(controlRate, 1, l, now)
	}
	return nil
}
