package handshake

import "strconv"

// CheckHost rejects a request whose host matches none of the patterns. By
// default, without patterns, it accepts every host.
//
// Use CheckHost against DNS rebinding if only this machine or a private network
// can reach the server. With DNS rebinding an attacker's host name resolves to
// an address such as 127.0.0.1; the attacker's page then has the origin of the
// server and passes [CheckOrigin].
//
// Patterns match [Request.Host]:
//
//	localhost               this host on any port
//	127.0.0.1               this address in this notation; IPv6 needs brackets
//	example.com:8080        this host, with this port in the request
//	*.example.com           any host below example.com, but not example.com
//	pr-*.preview.example    any host whose first label starts with "pr-"
//
// Letters are compared without regard to case. Wildcards are those of
// [CheckOrigin]. A malformed pattern matches nothing; [ValidateHosts] reports
// it.
//
// The error is an [*Error] with status 421. Its Reason includes a malformed
// pattern.
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
	return &Error{Status: 421, Reason: "Host " + quote(host) + " matches none of " + strconv.Itoa(len(patterns)) + " allowed patterns" + hint}
}
