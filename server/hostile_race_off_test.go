//go:build !race

package server_test

// crowd is how many hostile clients come at once.
const crowd = 40
