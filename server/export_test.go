package server

// PartialRequests returns the number of clients that have sent a part of their
// request.
func PartialRequests(s *Server) (n int) {
	for _, c := range s.snapshot() {
		if c.phase.load() == phaseRequested {
			n++
		}
	}
	return n
}

// ReadPaused reports whether reading is paused because the client does not read
// the replies.
func (c *Conn) ReadPaused() bool { return c.transport.ReadPaused() }

// InputEnded reports whether the client has shut its side down.
func (c *Conn) InputEnded() bool { return c.inputEnded() }
