package handshake

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
//	pr-*.preview.example    any host whose first label begins so
//
// Letters are compared without regard to case, and wildcards are those of [CheckOrigin]. A
// pattern of another form is malformed and matches nothing; [ValidateHosts] reports it.
//
// The error is an [*Error] with status 421. Its Reason names a malformed pattern.
func CheckHost(r *Request, patterns []string) error {
	if len(patterns) == 0 {
		return nil
	}
	host, hint := r.Host(), ""
	a, ok := parseAuthority(host)
	for _, pattern := range patterns {
		p, reason := parseHostPattern(pattern)
		if reason != "" {
			hint = "; pattern " + quote(pattern) + " is malformed: " + reason
		} else if ok && p.matches(a) {
			return nil
		}
	}
	return &Error{Status: 421, Reason: "Host " + quote(host) + " is not one that this server goes by" + hint}
}
