//go:build race

package conform_test

// The race detector makes large messages take up to thirty times as long, and how goroutines meet does not depend on all the
// sizes there are.
func init() { tooSlow = large }
