// Package tiny is for the tests of the program: some of its changes are noticed.
package tiny

const limit = 3

// Over is tested at its limit.
func Over(n int) bool { return n > limit }

// Absolute is not tested with 0, and so it should not be: it would be the same.
func Absolute(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// Untested is not.
func Untested(n int) int { return n / 2 }
