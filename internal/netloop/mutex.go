package netloop

import "sync"

type socketMutex = sync.Mutex
