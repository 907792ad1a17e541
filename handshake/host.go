package handshake

import "strings"

// CheckHost refuses requests for hosts that the server does not go by. The host is what a
// browser was told to connect to, which need not be where it arrived: an attacker's name
// may resolve to 127.0.0.1, and then the attacker's page has the origin of that host and
// passes [CheckOrigin] (DNS rebinding). A server that only its own machine or network
// can reach should say which names it goes by.
//
// Without patterns every host passes. Each pattern allows hosts, see [Request.Host]:
//
//	localhost               this host on any port
//	127.0.0.1               this address, written so; an IPv6 address stands in brackets
//	example.com:8080        this host, with this port in the request
//	*.example.com           any host below example.com, not example.com itself
//
// Letters are compared without regard to case. A pattern of another form matches nothing.
//
// The error is an [*Error] with status 421.
func CheckHost(r *Request, patterns []string) error {
	if len(patterns) == 0 {
		return nil
	}
	host := r.Host()
	if a, ok := parseAuthority(host); ok {
		for _, pattern := range patterns {
			if a.matches(pattern) {
				return nil
			}
		}
	}
	return &Error{Status: 421, Reason: "Host " + quote(host) + " is not one that this server goes by"}
}

// matches reports whether the pattern of a host allows a.
func (a authority) matches(pattern string) bool {
	pattern, below := strings.CutPrefix(pattern, "*.")
	p, ok := parseAuthority(pattern)
	return ok && (p.port == 0 || p.port == a.port) && sameHost(a.host, p.host, below)
}

// sameHost reports whether host is the other one or, with below, below it.
func sameHost(host, other string, below bool) bool {
	if below {
		cut := len(host) - len(other) - 1
		return cut > 0 && host[cut] == '.' && equalFold(host[cut+1:], other)
	}
	return equalFold(host, other)
}
