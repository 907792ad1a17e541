package server

// PartialRequests returns how many clients have sent part of their request.
func PartialRequests(s *Server) (n int) {
	for _, c := range s.snapshot() {
		if c.phase.load() == phaseRequested {
			n++
		}
	}
	return n
}
