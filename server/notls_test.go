//go:build notls

package server_test

// addTLS adds nothing: there is no TLS.
func addTLS(map[string]starter) {}
