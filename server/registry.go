package server

import (
	"iter"
	"net"
	"slices"
)

// This file holds a server's listeners and connections.

// addListener adds ln, unless the server is shutting down. It reports whether
// it has.
func (s *Server) addListener(ln *net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[*net.Listener]struct{})
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln *net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

func (s *Server) shuttingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// addConn adds c. It returns the limit that c exceeds, if any, and whether the
// server was shutting down before.
func (s *Server) addConn(c *Conn) (why *CapacityError, closing bool) {
	from := s.addrKey(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		s.startSweeper()
	}
	c.activity.begin(s.clock.now())
	c.place = int32(len(s.conns))
	s.conns = append(s.conns, c)
	return s.countConn(c, from), s.closing
}

// removeConn removes c. The last connection takes its place.
func (s *Server) removeConn(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connCounter.remove(c)
	s.conns[len(s.conns)-1].place = c.place
	s.conns = removeAt(s.conns, c.place)
	if len(s.conns) > 0 {
		return
	}
	s.stopSweeper()
	if s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// removeAt removes the element of list at place i. The last one takes its
// place. The array is replaced by a smaller one when most of it is unused.
func removeAt[E any](list []*E, i int32) []*E {
	last := len(list) - 1
	list[i] = list[last]
	list[last] = nil
	list = list[:last]
	switch size := cap(list); {
	case last == 0:
		return nil
	case size > fewElements && last < size/4:
		return append(make([]*E, 0, size/2), list...)
	}
	return list
}

// fewElements is the capacity below which removeAt does not replace the array.
const fewElements = 1024

// snapshot returns the connections, including those in the opening handshake.
func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Conns returns an iterator over the open connections, in no order. It uses the
// connections that exist when the iteration begins. A connection that ends
// meanwhile may still be returned.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for _, c := range s.snapshot() {
			if c.isOpen() && !yield(c) {
				return
			}
		}
	}
}
