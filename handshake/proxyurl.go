package handshake

import "strings"

// ParseProxyURL parses the URL of a proxy. [URL.Scheme] is "http", "https" or
// "socks5" with the default port 80, 443 or 1080. "socks5h" is a synonym of
// "socks5". Without a scheme, as in "proxy.example:3128", the scheme is "http".
// A path and a query are allowed and have no meaning.
//
// The error is a [*URLError]; see [ParseURL] for invalid URLs.
func ParseProxyURL(s string) (*URL, error) {
	u := new(URL)
	if reason := u.parseProxy(s); reason != "" {
		return nil, &URLError{URL: redact(s), Reason: reason}
	}
	return u, nil
}

func (u *URL) parseProxy(s string) (reason string) {
	if reason = checkURI(s); reason != "" {
		return reason
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "http", s
	}
	switch u.Scheme = toLower(scheme); u.Scheme {
	case "http", "https":
		u.Port = defaultPort(u.Scheme)
		u.Secure = u.Port == 443
	case "socks5", "socks5h":
		u.Scheme, u.Port = "socks5", 1080
	default:
		return `want "http://", "https://" or "socks5://" at the start`
	}
	return u.parseRest(rest)
}
