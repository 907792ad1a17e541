package server

import (
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// nowhere is a socket that accepts every write. Its tests call the
// functions that a loop calls.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error)       { return len(p), nil }
func (nowhere) Writev(head, payload []byte) error { return nil }
func (nowhere) Buffered() int                     { return 0 }
func (nowhere) Flush()                            {}
func (nowhere) Deferred() bool                    { return false }
func (nowhere) MoreInput(bool)                    {}
func (nowhere) Space(size int) int                { return size }
func (nowhere) AwaitSpace(int)                    {}
func (nowhere) Unacknowledged() int               { return 0 }
func (nowhere) MustPause() bool                   { return false }
func (nowhere) ReadPaused() bool                  { return false }
func (nowhere) Resume()                           {}
func (nowhere) CloseWrite(bool)                   {}
func (nowhere) Abort() error                      { return nil }
func (nowhere) Shard() int                        { return -1 }
func (nowhere) LocalAddr() net.Addr               { return nil }
func (nowhere) RemoteAddr() net.Addr              { return nil }

// connOver returns a connection over socket that expects the opening handshake.
func (s *Server) connOver(socket netloop.Socket) *Conn {
	c, _ := s.newConn(false)
	s.startConn(c, socket)
	return c
}
