// Package loopback has addresses for tests that check that nobody listens any
// more: the port of a closed listener at 127.0.0.1 is soon another process's.
package loopback

// Address returns an address to listen on, with any port. On Linux, no other
// process listens there, unless it listens on all addresses.
func Address() string { return address() }
