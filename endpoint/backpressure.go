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

	// Written is called without the endpoint's lock when a blocked frame, and
	// the control frames queued behind it, have been written or cannot be.
	Written()
}

// SetBackpressure makes Send, SendPrepared and MessageWriter.WriteFragment wait
// for b. It is called after Init and before the endpoint is shared. Such an
// endpoint must not be corked.
func (e *Endpoint) SetBackpressure(b Backpressure) { e.sender.ensureExt().pressure = b }

// HasBackpressure reports whether SetBackpressure was called.
func (e *Endpoint) HasBackpressure() bool { return e.sender.pressure() != nil }

// WriteBlocked reports whether a data frame, or a control frame queued behind
// it, is being written under Backpressure. The output is then not complete,
// even if State is Closed.
func (e *Endpoint) WriteBlocked() bool {
	ext := e.sender.ext.Load()
	return ext != nil && ext.blocked.Load()
}

func (s *sender) pressure() Backpressure {
	if ext := s.ext.Load(); ext != nil {
		return ext.pressure
	}
	return nil
}

// mustWait reports whether a frame with a payload of size bytes must wait for
// room. The caller holds mu.
func (s *sender) mustWait(size int) bool {
	pressure := s.pressure()
	return pressure != nil && s.sendErr() == nil && pressure.Space(serverHead+size) == 0
}

// awaitSpace waits, without mu, until there may be room for a frame with a
// payload of size bytes. The caller holds mu before and after.
func (s *sender) awaitSpace(size int) {
	s.unlock()
	s.pressure().AwaitSpace(serverHead + size)
	s.mu.Lock()
}

// writeBlocking writes a data frame as the transport has room for it. The
// caller holds mu before and after; writeBlocking gives it up while the frame
// is blocked. Control frames are queued meanwhile and written after the frame.
func (s *sender) writeBlocking(pressure Backpressure, head, p []byte) error {
	ext := s.ensureExt()
	ext.blocked.Store(true)
	before := s.position
	n := min(len(p), pressure.Space(len(p)))
	err := s.writeHead(head, p[:n])
	for p = p[n:]; err == nil && len(p) > 0; p = p[n:] {
		if n = pressure.Space(len(p)); n == 0 {
			s.position = insideFrame
			s.unlock()
			pressure.AwaitSpace(len(p))
			s.mu.Lock()
			continue
		}
		err = s.write(p[:n])
	}
	if s.position != insideFrame {
		ext.blocked.Store(false)
		return err
	}
	s.setPosition(before)
	s.unlock() // writes the queued control frames
	ext.blocked.Store(false)
	pressure.Written()
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
