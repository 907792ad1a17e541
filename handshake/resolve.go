package handshake

import "strings"

// Resolve returns the URI of a reference, the value of a Location field, with
// the base u (RFC 3986, Section 5.2). A fragment of the reference is discarded.
// The result has no userinfo.
//
// The error is a [*URLError]: for a reference that [ParseURL] does not accept,
// and for one with userinfo, which a server must not send (RFC 9110, Section
// 4.2.4).
func (u *URL) Resolve(reference string) (*URL, error) {
	reference, _, _ = strings.Cut(reference, "#")
	switch {
	case hasScheme(reference):
	case strings.HasPrefix(reference, "//"):
		reference = u.Scheme + ":" + reference
	default:
		reference = u.Scheme + "://" + u.hostPort() + u.resolveTarget(reference)
	}
	to, err := ParseURL(reference)
	switch {
	case err != nil:
		return nil, err
	case to.User != nil:
		return nil, &URLError{URL: redact(reference), Reason: "user and password in a redirect"}
	}
	path, query, found := strings.Cut(to.Target, "?")
	if to.Target = removeDotSegments(path); found {
		to.Target += "?" + query
	}
	return to, nil
}

// SameOrigin reports whether u and other have the same scheme, host and port.
func (u *URL) SameOrigin(other *URL) bool {
	return u.Secure == other.Secure && u.Host == other.Host && u.Port == other.Port
}

// hasScheme reports whether a URI reference begins with a scheme (RFC 3986,
// Section 3.1).
func hasScheme(reference string) bool {
	for i := range len(reference) {
		switch c := reference[i]; {
		case isAlpha(c), i > 0 && (isDigit(c) || c == '+' || c == '-' || c == '.'):
		default:
			return c == ':' && i > 0
		}
	}
	return false
}

// resolveTarget returns the path and query of a reference without authority.
func (u *URL) resolveTarget(reference string) string {
	path, _, _ := strings.Cut(u.Target, "?")
	switch {
	case reference == "":
		return u.Target
	case reference[0] == '/':
		return reference
	case reference[0] == '?':
		return path + reference
	}
	return path[:strings.LastIndexByte(path, '/')+1] + reference
}

// removeDotSegments removes "." and ".." from a path that begins with "/" (RFC
// 3986, Section 5.2.4).
func removeDotSegments(path string) string {
	var kept []string
	dot := false
	for segment := range strings.SplitSeq(path[1:], "/") {
		dot = segment == "." || segment == ".."
		switch {
		case !dot:
			kept = append(kept, segment)
		case segment == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		}
	}
	if dot {
		kept = append(kept, "") // a directory
	}
	return "/" + strings.Join(kept, "/")
}
