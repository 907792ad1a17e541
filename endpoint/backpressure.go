package endpoint

// Backpressure blocks the senders of data while the transport's write buffer is
// full. Its methods may be called from any goroutine.
type Backpressure interface {
	// Space returns how many of size more bytes the write buffer takes now, 0 if
	// the sender must wait. After the transport has ended it returns size; the
	// write then returns the transport's error.
	Space(size int) int

	// AwaitSpace returns when Space(size) may be greater than 0 or the transport
	// has ended. It is called without the endpoint's lock: while a sender
	// waits, control frames are sent and the closing handshake continues.
	AwaitSpace(size int)

	// Written is called without the endpoint's lock when a frame written in
	// parts, and the control frames queued behind it, have been written or
	// cannot be.
	Written()
}

// blockingWriter is a blocking. The linker leaves that out of programs without
// SetBackpressure.
type blockingWriter interface {
	Space(size int) int
	awaitSpace(s *sender, size int) (waited bool)
	writeFrame(s *sender, head, p []byte) error
}

// blocking writes data frames as the transport has room for them.
type blocking struct{ Backpressure }

// SetBackpressure makes Send, SendPrepared and MessageWriter.WriteFragment wait
// for b. It is called after Init and before the endpoint is shared. Such an
// endpoint must not be corked.
func (e *Endpoint) SetBackpressure(b Backpressure) { e.sender.ensureExt().blocking = blocking{b} }

// HasBackpressure reports whether SetBackpressure was called.
func (e *Endpoint) HasBackpressure() bool { return e.sender.blocking() != nil }

// WriteBlocked reports whether a data frame, or a control frame queued behind
// it, is being written under Backpressure. The output is then not complete,
// even if State is Closed.
func (e *Endpoint) WriteBlocked() bool {
	ext := e.sender.ext()
	return ext != nil && ext.blocked.Load() != noFrame
}

// FrameIncomplete reports whether a data frame is being written in parts under
// Backpressure: Written will be called.
func (e *Endpoint) FrameIncomplete() bool {
	ext := e.sender.ext()
	return ext != nil && ext.blocked.Load() == frameInParts
}

// The values of senderExt.blocked: how a data frame is being written under
// Backpressure.
const (
	noFrame      uint32 = iota // none is
	wholeFrame                 // by one write
	frameInParts               // by several writes, between which its writer may wait
)

// blocking returns the blocking of SetBackpressure, nil if a write does not
// block.
func (s *sender) blocking() blockingWriter {
	if ext := s.ext(); ext != nil {
		return ext.blocking
	}
	return nil
}

// awaitSpace waits, without mu, until there may be room for a frame with a
// payload of size bytes. It reports false if there was nothing to wait for. The
// caller holds mu before and after.
func (b blocking) awaitSpace(s *sender, size int) (waited bool) {
	if s.endState() != open || b.Space(serverHead+size) > 0 {
		return false
	}
	s.unlock()
	b.AwaitSpace(serverHead + size)
	s.mu.Lock()
	return true
}

// writeFrame writes a data frame as the transport has room for it. The caller
// holds mu before and after; writeFrame gives it up while the frame is blocked.
// Control frames are queued meanwhile and written after the frame.
func (b blocking) writeFrame(s *sender, head, p []byte) error {
	ext := s.ensureExt()
	before := s.position
	n := min(len(p), b.Space(len(p)))
	how := wholeFrame
	if n < len(p) {
		how = frameInParts
	}
	ext.blocked.Store(how)
	err := s.writeHead(head, p[:n])
	for p = p[n:]; err == nil && len(p) > 0; p = p[n:] {
		if n = b.Space(len(p)); n == 0 {
			s.position = insideFrame
			s.unlock()
			b.AwaitSpace(len(p))
			s.mu.Lock()
			continue
		}
		err = s.write(p[:n])
	}
	if how == wholeFrame {
		ext.blocked.Store(noFrame)
		return err
	}
	s.setPosition(before)
	s.unlock() // writes the queued control frames
	ext.blocked.Store(noFrame)
	b.Written()
	s.mu.Lock()
	return err
}

// writeHead writes the header of a frame and the first part of its payload. The
// caller holds mu.
func (s *sender) writeHead(head, p []byte) error {
	if s.vectored {
		return s.noteWrite(s.w.(VectorWriter).Writev(head, p))
	}
	buf := frames.get()
	defer frames.put(buf)
	b := append(buf.bytes, head...)
	n := min(len(p), cap(b)-len(b))
	if err := s.write(append(b, p[:n]...)); err != nil || n == len(p) {
		return err
	}
	return s.write(p[n:])
}
