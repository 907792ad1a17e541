package handshake

import (
	"strconv"
	"strings"
)

// CheckOrigin rejects a request that a browser sends for a page of another
// origin (RFC 6455, Section 10.2). A request without Origin is accepted,
// because browsers always send one. The check does not authenticate a client: a
// client other than a browser can send any Origin.
//
// By default, without patterns, host and port of the Origin must equal those of
// [Request.Host]. A missing port is the default port of the Origin's scheme.
// The schemes are not compared, because a server behind a proxy does not know
// its own. Patterns allow additional origins:
//
//	example.com                   this host over http, https, ws or wss, default port
//	example.com:8080              this host and port
//	localhost:*                   this host on any port
//	https://example.com           this host with this scheme only
//	*.example.com                 any host below example.com, but not example.com
//	https://*.example.com:8443    the same, with this scheme and port
//	https://pr-*.preview.example  any host whose first label starts with "pr-"
//	chrome-extension://*          any host with this scheme, which need not be of the web
//	file://                       pages from files, in browsers that send file://
//	null                          pages without an origin, such as sandboxed frames and
//	                              files; any attacker can create one
//	*                             any origin but null: every page can then act for the
//	                              user of its browser, with the user's cookies
//
// Letters are compared without regard to case. A wildcard as the first label
// matches one or more labels. A wildcard within a label matches one or more
// characters other than a dot; at least two labels without a wildcard must
// follow it. A malformed pattern matches nothing; [ValidateOrigins] reports it.
//
// The error is an [*Error] with status 403, or 400 for more than one Origin
// line. Its Reason includes the origin, the host and a malformed pattern.
func CheckOrigin(r *Request, patterns []string) error {
	switch n := r.Header.Count("Origin"); {
	case n == 0:
		return nil
	case n > 1:
		return badRequest(strconv.Itoa(n) + " Origin fields, want one")
	}
	value := r.Header.Get("Origin")
	null := value == "null"
	var o origin
	if !null {
		var ok bool
		if o, ok = parseOrigin(value); !ok {
			return &Error{Status: 403, Reason: "Origin " + quote(value) + " is malformed"}
		}
	}
	host := r.Host()
	if o.same(host) {
		return nil
	}
	hint := ""
	for _, pattern := range patterns {
		switch p, reason := parseOriginPattern(pattern); {
		case reason != "":
			hint = "; pattern " + quote(pattern) + " is malformed: " + reason
		case null && p.null, !null && p.matches(o):
			return nil
		case p.matchesIgnoringPort(o) && hint == "":
			hint = "; pattern " + quote(pattern) + " allows another port"
		}
	}
	reason := "Origin " + quote(value) + " is not the origin of host " + quote(host)
	if len(patterns) > 0 {
		reason += " and matches none of " + strconv.Itoa(len(patterns)) + " allowed patterns" + hint
	}
	return &Error{Status: 403, Reason: reason}
}

// origin is a parsed Origin: scheme "://" host [ ":" port ] (RFC 6454, Section
// 6.2). The host can be empty unless the scheme is one of the web: Chromium
// sends "file://" and "content://" for pages of an app.
type origin struct {
	scheme string
	authority
}

func parseOrigin(s string) (o origin, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !validScheme(scheme) || strings.HasSuffix(rest, ":") {
		return origin{}, false
	}
	o.scheme = scheme
	if rest == "" && !o.isWeb() {
		return o, true
	}
	o.authority, ok = parseAuthority(rest)
	return o, ok
}

func validScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlpha(c) && (i == 0 || !isDigit(c) && strings.IndexByte("+-.", c) < 0) {
			return false
		}
	}
	return s != ""
}

// same reports whether o is the origin of pages served by hostport.
func (o origin) same(hostport string) bool {
	a, ok := parseAuthority(hostport)
	return ok && o.isWeb() && equalFold(o.host, a.host) && o.samePort(a.port)
}

// isWeb reports whether the scheme is http, https, ws or wss.
func (o origin) isWeb() bool { return defaultPort(o.scheme) != 0 }

// samePort reports whether port is the port of o. Port 0 means the default of
// the scheme.
func (o origin) samePort(port uint16) bool {
	own := o.port
	if own == 0 {
		own = defaultPort(o.scheme)
	}
	if port == 0 {
		port = defaultPort(o.scheme)
	}
	return own == port
}
