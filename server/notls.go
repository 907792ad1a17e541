//go:build notls

package server

// TLSConfig has nothing in it, because the program is built with the tag notls.
type TLSConfig struct{}
