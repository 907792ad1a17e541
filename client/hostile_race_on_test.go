//go:build race

package client_test

// crowd is the number of concurrent connections to hostile servers.
const crowd = 25
