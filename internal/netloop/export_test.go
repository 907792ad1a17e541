package netloop

import "net"

// NewSystemTransport treats nc as a connection of the system: one whose
// deadlines work.
func NewSystemTransport(nc net.Conn) Transport { return &systemConn{Conn: nc} }

// CloseGrace is the longest wait for the Close of a foreign connection.
const CloseGrace = closeGrace
