package serve

import "time"

// The message that makes the handler block: binary, of this size and first
// byte.
const (
	BlockingSize  = 33
	BlockingFirst = 'B'
)

// BlockIfAsked sleeps for a second if p is that message. Every handler calls it
// before it answers.
func BlockIfAsked(binary bool, p []byte) {
	if binary && len(p) == BlockingSize {
		block(p[0])
	}
}

func block(first byte) {
	if first == BlockingFirst {
		time.Sleep(time.Second)
	}
}
