//go:build !lockcheck

package lockorder

import "sync"

type (
	Handlers   = sync.Mutex
	Topics     = sync.Mutex
	ConnTopics = sync.Mutex
	Fragments  = sync.Mutex
	Sender     = sync.Mutex
	Socket     = sync.Mutex
	SendQueue  = sync.Mutex
)

// HandOver returns f for another goroutine, which then holds m in place of the
// caller.
func HandOver(_ *Sender, f func()) func() { return f }
