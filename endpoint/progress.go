package endpoint

import "github.com/fibersock/fibersock/wire"

// This file is what somebody needs who looks after an endpoint's time limits: the
// endpoint reads no clock.

// UnderWay reports whether a frame or a message has begun to arrive and is not
// complete, and how many payload bytes of the message have arrived: 0 if none of
// it has, or no more than a header or a part of a control frame. It belongs to the
// goroutine that receives.
func (e *Endpoint) Progress() (arrived int64, underWay bool) {
	r := &e.receiver
	if !r.unfinished() {
		return 0, false
	}
	arrived = r.message.size
	if !r.frame.Opcode.IsControl() {
		arrived -= r.rest
	}
	return arrived, true
}

// FailFromOutside is Fail for others than the goroutine that receives. It reports
// whether the connection has failed: false if it had ended before. Receive does
// not ignore what the peer still sends; the caller sees to that, by Err.
func (e *Endpoint) FailAsync(code wire.StatusCode, reason string, err error) bool {
	failed := &outcome{code: wire.AbnormalClosure, err: &FailError{Code: code, Err: err}}
	if e.recordEnd(failed) != failed {
		return false
	}
	e.sender.closeFor(code, reason, e.receiver.cfg)
	return true
}
