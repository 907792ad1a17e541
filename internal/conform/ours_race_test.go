//go:build race

package conform_test

// The race detector makes large messages take up to thirty times as long, and how goroutines meet does not depend on all the
// sizes there are: one of each kind is enough.
func init() {
	tooSlow = []string{
		"9.1.5", "9.1.6", "9.2.*", "9.3.2", "9.3.3", "9.3.4", "9.3.6", "9.3.7", "9.3.8", "9.4.*",
		"9.5.2", "9.5.3", "9.5.4", "9.5.5", "9.6.*", "9.8.*",
	}
}
