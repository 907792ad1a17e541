//go:build notls

package server

// TLSConfig is empty, because of the build tag notls.
type TLSConfig struct{}
