package client

// Redirects follows redirects; see FollowRedirects.
type Redirects struct {
	// follow sets d for another attempt after err.
	follow hook
}
