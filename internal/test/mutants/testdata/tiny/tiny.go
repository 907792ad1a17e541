// Package tiny is for the tests of the program: its tests notice some changes.
package tiny

const limit = 3

// Over is tested at its limit.
func Over(n int) bool { return n > limit }

// Sum adds 1 to n, which has the same size on every processor. The turn with 0 could be one more or less.
func Sum(n int64) (sum int64) {
	for n > 0 {
		sum += n
		n--
	}
	return sum
}

// Half is not tested.
func Half(n int) int { return n / 2 }
