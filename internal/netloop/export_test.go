package netloop

import "net"

// NewSystemTransport treats nc as a connection of the system: one whose deadlines
// work.
func NewSystemTransport(nc net.Conn) Transport { return &systemConn{Conn: nc} }

// CloseGrace is the time that the Close of a foreign connection is waited for.
const CloseGrace = closeGrace
