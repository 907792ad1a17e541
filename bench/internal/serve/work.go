package serve

import "time"

// A message that makes the handler block: binary, this long, this first byte.
const (
	BlockingSize  = 33
	BlockingFirst = 'B'
)

// Work is what every handler does with a message before it answers: nothing,
// unless the message asks it to block.
func Work(binary bool, p []byte) {
	if binary && len(p) == BlockingSize && p[0] == BlockingFirst {
		Block()
	}
}

// Block is what a handler does that blocks.
func Block() { time.Sleep(time.Second) }
