//go:build !lockcheck

package lockorder

import "sync"

type (
	Handlers  = sync.Mutex
	Fragments = sync.Mutex
	Sender    = sync.Mutex
	Socket    = sync.Mutex
	SendQueue = sync.Mutex
)
