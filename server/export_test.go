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
