//go:build !race

package client_test

// crowd is how many connections there are to hostile servers at once.
const crowd = 40
