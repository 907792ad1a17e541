package endpoint

// Backpressure makes the senders of data wait while the transport's write buffer
// is full. Its methods may be called from any goroutine.
type Backpressure interface {
	// Room returns how many of size more bytes may be written now: all of them,
	// a part, or 0 if the writer has to wait. After the transport has ended it
	// returns size, and the write then returns the transport's error.
	Room(size int) int

	// AwaitRoom returns when Room(size) may have changed from 0, or the
	// transport has ended. It is called without the endpoint's lock: control
	// frames are sent, and the closing handshake goes on, while a sender waits.
	AwaitRoom(size int)

	// Written is called, without the endpoint's lock, when a frame that had to
	// wait inside has been written, or cannot be, and with it the control
	// frames that waited for its end.
	Written()
}

// SetBackpressure makes Send, SendPrepared and MessageWriter.WriteFragment wait for room. It is
// called after Init, before the endpoint is shared. Such an endpoint must not be
// corked.
func (e *Endpoint) SetBackpressure(b Backpressure) { e.sender.ensureExt().pressure = b }

// Pressed reports whether a frame of data is being written by a sender that waits
// for room, or the control frames that waited for its end. Until that is done, the
// output has not ended.
func (e *Endpoint) WriteBlocked() bool {
	ext := e.sender.ext.Load()
	return ext != nil && ext.blocked.Load()
}

// HasBackpressure reports whether SetBackpressure was called.
func (e *Endpoint) HasBackpressure() bool { return e.sender.pressure() != nil }

func (s *sender) pressure() Backpressure {
	if ext := s.ext.Load(); ext != nil {
		return ext.pressure
	}
	return nil
}

// mustWait reports whether a frame with a payload of size bytes has to wait for
// room. A frame that cannot be sent any more need not. The caller holds mu.
func (s *sender) mustWait(size int) bool {
	pressure := s.pressure()
	return pressure != nil && s.sendErr() == nil && pressure.Room(serverHead+size) == 0
}

// awaitRoom gives up mu until there may be room for a frame with a payload of size
// bytes.
func (s *sender) awaitRoom(size int) {
	s.unlock()
	s.pressure().AwaitRoom(serverHead + size)
	s.mu.Lock()
}

// writePressed writes a frame of data as the transport has room for it. The caller
// holds mu, which is given up while the frame waits: who receives must not wait for
// a peer that does not read, and closes or answers Pings meanwhile. What that wants
// to send is owed, and written after the frame.
func (s *sender) writeBlocking(pressure Backpressure, head, p []byte) error {
	ext := s.ensureExt()
	ext.blocked.Store(true)
	before := s.position
	n := min(len(p), pressure.Room(len(p)))
	err := s.writeHead(head, p[:n])
	for p = p[n:]; err == nil && len(p) > 0; p = p[n:] {
		if n = pressure.Room(len(p)); n == 0 {
			s.position = insideFrame
			s.unlock()
			pressure.AwaitRoom(len(p))
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
	s.unlock() // with the control frames that are owed
	ext.blocked.Store(false)
	pressure.Written()
	s.mu.Lock()
	return err
}

// writeHead writes a frame's header and the first part of its payload. The caller
// holds mu.
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
