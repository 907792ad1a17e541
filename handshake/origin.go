package handshake

import (
	"strconv"
	"strings"
)

// CheckOrigin refuses requests that a browser makes for pages of other origins (RFC
// 6455, Section 10.2). A request without Origin comes from no browser and passes; it
// may carry any Origin it likes as well, so that passing proves nothing.
//
// Without patterns the host of the Origin must be the one that the request is for, see
// [Request.Host], and so must the port; a port left out is the default of the
// Origin's scheme. The scheme itself is not compared, since a server behind a proxy does
// not know its own. Each pattern allows further origins:
//
//	example.com                   this host over http, https, ws or wss, default port
//	example.com:8080              this host and port
//	localhost:*                   this host on any port
//	https://example.com           this scheme only; it may be any, such as that of an app
//	*.example.com                 any host below example.com, not example.com itself
//	https://*.example.com:8443
//	https://pr-*.preview.example  any host whose first label begins so
//	chrome-extension://*          any host with this scheme
//	file://                       pages from files, where the browser sends no null for them
//	null                          pages without origin: sandboxes, files. Anybody can make one
//	*                             any origin but null. Any page may then act for its visitor,
//	                              cookies included
//
// Letters are compared without regard to case. Within a label a wildcard stands for one
// character or more and no dot, and at least two labels without one must follow. A pattern
// of another form is malformed and matches nothing; [ValidateOrigins] reports it.
//
// The error is an [*Error] with status 403, or 400 if there are two Origin lines. Its Reason says
// what was compared, and names a malformed pattern.
func CheckOrigin(r *Request, patterns []string) error {
	switch n := r.Header.Count("Origin"); {
	case n == 0:
		return nil
	case n > 1:
		return badRequest(strconv.Itoa(n) + " Origin fields where one is allowed")
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
		case !null && p.matchesBesidesPort(o) && hint == "":
			hint = "; pattern " + quote(pattern) + " allows another port"
		}
	}
	return &Error{Status: 403, Reason: "Origin " + quote(value) + " is not that of the host " +
		quote(host) + " and matches none of " + strconv.Itoa(len(patterns)) + " allowed patterns" + hint}
}

// origin is a parsed Origin: scheme "://" host [ ":" port ] (RFC 6454, Section 6.2). The host
// may be empty unless the scheme is one of the web: Chromium's engine sends "file://" and
// "content://" for pages of an app.
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
	if rest == "" && !o.ofWeb() {
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

// same reports whether o is the origin of pages that come from the host[:port].
func (o origin) same(hostport string) bool {
	a, ok := parseAuthority(hostport)
	return ok && o.ofWeb() && equalFold(o.host, a.host) && o.samePort(a.port)
}

// ofWeb reports whether pages and sockets have this scheme.
func (o origin) ofWeb() bool { return defaultPort(o.scheme) != 0 }

// samePort compares ports; 0 stands for the default of the origin's scheme.
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
