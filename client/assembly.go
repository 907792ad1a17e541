package client

import (
	"context"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// This file bounds how long a server may take over a message: see
// Config.AssemblyTimeout. What is measured is the time in which a call waits for
// the rest, so that a program that does not receive is no reason.

// assemblyPart is of how much of a message the time is bounded, in bytes.
const assemblyPart = 64 << 10

// assembly is how far the message under way has come.
type assembly struct {
	limit  time.Duration // Config.AssemblyTimeout; 0 or less: none
	parts  int64         // that have come of the message under way
	waited time.Duration // for the next
}

// patience returns for how long the rest of the message under way is waited for at
// most, 0 if for ever: there is none, or no limit.
func (c *Conn) patience() time.Duration {
	a := &c.assembly
	if a.limit <= 0 {
		return 0
	}
	arrived, underWay := c.endpoint.Progress()
	if parts := arrived / assemblyPart; !underWay || parts != a.parts {
		a.parts, a.waited = parts, 0
	}
	if !underWay {
		return 0
	}
	return max(a.limit-a.waited, 1)
}

// failLate fails the connection because a message did not come in time.
func (c *Conn) failLate(ctx context.Context) error {
	err := c.endpoint.Fail(wire.PolicyViolation, "message not complete in time", &LateError{
		What: "no end of a message, nor 64 KiB more of it,", After: c.assembly.limit, Option: "AssemblyTimeout",
	})
	c.part(ctx, endpoint.KindFailed)
	return err
}
