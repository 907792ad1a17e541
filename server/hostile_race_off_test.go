//go:build !race

package server_test

// crowd is the number of hostile clients at the same time.
const crowd = 40
