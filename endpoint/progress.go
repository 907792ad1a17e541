package endpoint

import "github.com/fibersock/fibersock/wire"

// This file has the hooks for callers that enforce timeouts.

// Progress reports whether a frame or a message is incomplete, and how many
// payload bytes of the message have arrived: 0 if only a header or part of a
// control frame has. The caller is the receiving goroutine.
func (e *Endpoint) Progress() (arrived int64, incomplete bool) {
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

// Remaining returns how many payload bytes of the current frame have not
// arrived, as declared by its header. The caller is the receiving goroutine.
func (e *Endpoint) Remaining() int64 {
	if r := e.receiver.partial; r != nil {
		return r.rest
	}
	return 0
}

// Decompressing reports whether an incomplete message is compressed, so that
// its payload is no part of the input. The caller is the receiving goroutine.
func (e *Endpoint) Decompressing() bool {
	r := e.receiver.partial
	return r != nil && r.message.compressed
}

// FailAsync is Fail for other goroutines than the receiving one. It reports
// whether the connection has failed: false if it had ended before. Receive does
// not ignore later input; the caller stops calling it when Err is not nil.
func (e *Endpoint) FailAsync(code wire.StatusCode, reason string, err error) bool {
	ended, _ := e.end(failure, failed(code, err), closeFrame{code, reason})
	return ended
}
