//go:build race

package conform

// The race detector makes large messages take long, and finds nothing in them that it does not find in small ones.
func init() {
	tooMuch += " 9.1.4 9.1.5 9.1.6 9.2.* 9.3.* 9.4.* 9.5.* 9.6.* 9.8.* 12.*.4 12.*.5 12.*.11 13.*.4 13.*.5"
}
