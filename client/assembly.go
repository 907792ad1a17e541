package client

import (
	"context"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// This file enforces Config.AssemblyTimeout. It counts only the time in which
// a call waits for bytes, so that an application that does not receive does
// not fail the connection.

// assemblyPart is the progress, in bytes, that restarts AssemblyTimeout.
const assemblyPart = 64 << 10

// assembly is the progress of the unfinished message.
type assembly struct {
	limit  time.Duration // Config.AssemblyTimeout; 0 or less: none
	parts  int64         // complete parts that have arrived
	waited time.Duration // for the next part
}

// assemblyTimeout returns the time in which the next part must arrive, 0 if
// there is no limit or no unfinished message.
func (c *Conn) assemblyTimeout() time.Duration {
	a := &c.assembly
	if a.limit <= 0 {
		return 0
	}
	arrived, unfinished := c.endpoint.Progress()
	if parts := arrived / assemblyPart; !unfinished || parts != a.parts {
		a.parts, a.waited = parts, 0
	}
	if !unfinished {
		return 0
	}
	return max(a.limit-a.waited, 1)
}

// failAssembly fails the connection with 1008 after AssemblyTimeout.
func (c *Conn) failAssembly(ctx context.Context) error {
	err := c.endpoint.Fail(wire.PolicyViolation, "message not complete in time", &TimeoutError{
		Missing: "message progress", After: c.assembly.limit, Option: "AssemblyTimeout",
	})
	c.closeTransport(ctx, endpoint.KindFailed)
	return err
}
