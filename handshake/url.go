package handshake

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// URL is a ws or wss URI, split into what a client needs (RFC 6455, Section 3).
type URL struct {
	Scheme string    // "ws" or "wss"
	Secure bool      // the scheme is wss
	Host   string    // lower case, no brackets; an IPv6 address may carry a zone
	Port   uint16    // the scheme's default if the URI has none
	Target string    // the resource name: path and query, percent-encoded
	User   *Userinfo // nil if the URI has none
}

// Userinfo is the user and password of a URI, percent-decoded.
type Userinfo struct {
	Username, Password string
}

// URLError reports a URI that cannot be connected to. URL is the URI without
// userinfo, query and fragment, which may hold secrets.
type URLError struct {
	URL    string
	Reason string
}

func (e *URLError) Error() string {
	return "websocket: URL " + quote(e.URL) + ": " + e.Reason
}

// ParseURL splits a ws or wss URI. The scheme may be in any case; http and https
// are taken for ws and wss. Bytes that a URI may not hold in its path and query,
// such as spaces and letters outside ASCII, are percent-encoded; what is
// percent-encoded already stays as it is.
//
// Userinfo goes to [URL.User] and from there into [URL.Authorization] only. A zone
// of an IPv6 address ("%25eth0") is in [URL.Address] and [URL.String], but is never sent.
//
// The error is a [*URLError]: for other schemes, for a fragment, even an empty one,
// for control characters, for a host that is missing or not ASCII, for a port that is
// not 1 to 65535.
func ParseURL(s string) (URL, error) {
	u, reason := parseURL(s)
	if reason != "" {
		return URL{}, &URLError{URL: redact(s), Reason: reason}
	}
	return u, nil
}

// parseURL returns a reason rather than an error; no reason quotes the URI,
// since a part misread because of a stray "/" or "?" may be the password.
func parseURL(s string) (u URL, reason string) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return URL{}, "it holds a control character"
		}
	}
	if strings.IndexByte(s, '#') >= 0 {
		return URL{}, `a ws URL has no fragment; write a "#" of the path or query as %23`
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found || defaultPort(scheme) == 0 {
		return URL{}, `it must begin with "ws://" or "wss://"`
	}
	u.Port = defaultPort(scheme)
	u.Secure = u.Port == 443
	u.Scheme = "ws"
	if u.Secure {
		u.Scheme = "wss"
	}

	hostport, target := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hostport, target = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(hostport, '@'); i >= 0 {
		if u.User, reason = parseUserinfo(hostport[:i]); reason != "" {
			return URL{}, reason
		}
		hostport = hostport[i+1:]
	}
	if reason = u.setHostPort(hostport); reason != "" {
		return URL{}, reason
	}
	if u.Target, reason = resourceName(target); reason != "" {
		return URL{}, reason
	}
	return u, ""
}

func parseUserinfo(s string) (*Userinfo, string) {
	name, password, _ := strings.Cut(s, ":")
	var user Userinfo
	var ok1, ok2 bool
	user.Username, ok1 = decodeUserinfo(name)
	user.Password, ok2 = decodeUserinfo(password)
	switch {
	case !ok1 || !ok2:
		return nil, "user and password must be percent-encoded, and may not hold control characters"
	case strings.IndexByte(user.Username, ':') >= 0:
		return nil, "a user name with a colon cannot be sent (RFC 7617)"
	case user == Userinfo{}:
		return nil, ""
	}
	return &user, ""
}

func decodeUserinfo(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case isPercentEncoded(s[i:]):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if c = byte(n); c < ' ' || c == 0x7f {
				return "", false
			}
			i += 2
		case octets[c]&hostByte == 0 && c != ':':
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func (u *URL) setHostPort(s string) (reason string) {
	host, port, colon := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return `the IPv6 address lacks its "]"`
		}
		if u.Host, reason = ipv6Host(s[1:end]); reason != "" {
			return reason
		}
		if port = s[end+1:]; port != "" && port[0] != ':' {
			return `only a port may follow the "]"`
		}
		port, colon = strings.CutPrefix(port, ":")
	} else {
		host, port, colon = strings.Cut(s, ":")
		if reason = checkHostName(host); reason != "" {
			return reason
		}
		u.Host = toLower(host)
	}
	if colon {
		var ok bool
		if u.Port, ok = parsePort(port); !ok {
			return "the port must be a number from 1 to 65535"
		}
	}
	return ""
}

// ipv6Host takes the text between the brackets: an address and perhaps a zone, which
// begins with "%25" in a URI (RFC 6874).
func ipv6Host(s string) (host, reason string) {
	addr, zone, zoned := strings.Cut(s, "%25")
	if !validIPv6(addr) {
		return "", "what the brackets hold is not an IPv6 address"
	}
	host = toLower(addr)
	if !zoned {
		return host, ""
	}
	for i := range len(zone) {
		if c := zone[i]; !isAlpha(c) && !isDigit(c) && strings.IndexByte("-._~", c) < 0 {
			return "", "the zone of the IPv6 address holds a character that is not allowed"
		}
	}
	if zone == "" {
		return "", "the zone of the IPv6 address is empty"
	}
	return host + "%" + zone, ""
}

func checkHostName(s string) (reason string) {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '%' {
			return "the host must be ASCII; write an international name in its A-label form, such as xn--bcher-kva.example"
		}
	}
	switch {
	case s == "":
		return "the host is missing"
	case !validRegName(s):
		return "the host holds a character that is not allowed"
	}
	return ""
}

// resourceName turns what follows the authority into the request target: path, "/" if
// empty, and "?" and query if that is not empty (RFC 6455, Section 3).
func resourceName(s string) (target, reason string) {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+1)
	if s == "" || s[0] == '?' {
		b = append(b, '/')
	}
	if path, query, _ := strings.Cut(s, "?"); query == "" {
		s = path
	}
	query := false
	for i := range len(s) {
		c := s[i]
		switch {
		case octets[c]&pathByte != 0, c == '?' && query, isPercentEncoded(s[i:]):
			b = append(b, c)
		case c == '?':
			query = true
			b = append(b, c)
		case c == '%':
			return "", `two hexadecimal digits must follow each "%" of path and query`
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b), ""
}

// redact removes what may be secret from a URI that did not parse, and which parts
// of it are secret is therefore a guess to the safe side.
func redact(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !ValidToken(scheme) {
		scheme, rest = "", s
	} else {
		scheme += "://"
	}
	secret := strings.IndexAny(rest, "?#")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if secret >= 0 && secret < at {
			return scheme + "***"
		}
		scheme += "***@"
		rest, secret = rest[at+1:], secret-at-1
	}
	if secret >= 0 {
		rest = rest[:secret+1] + "***"
	}
	return scheme + rest
}

// HostHeader returns the value of the Host field: the host, in brackets if it is
// an IPv6 address and without its zone, and the port unless it is the scheme's default.
func (u URL) HostHeader() string {
	host, _, _ := strings.Cut(u.Host, "%")
	return bracket(host) + u.explicitPort()
}

// Address returns "host:port" for a dialer, zone included.
func (u URL) Address() string {
	return bracket(u.Host) + ":" + strconv.Itoa(int(u.Port))
}

// String returns the URI without userinfo.
func (u URL) String() string {
	host := bracket(strings.Replace(u.Host, "%", "%25", 1))
	return u.Scheme + "://" + host + u.explicitPort() + u.Target
}

// Authorization returns the value of an Authorization field for the URI's userinfo
// (RFC 7617), "" if it has none.
func (u URL) Authorization() string {
	if u.User == nil {
		return ""
	}
	credentials := []byte(u.User.Username + ":" + u.User.Password)
	return string(base64.StdEncoding.AppendEncode([]byte("Basic "), credentials))
}

func (u URL) explicitPort() string {
	if u.Port == defaultPort(u.Scheme) {
		return ""
	}
	return ":" + strconv.Itoa(int(u.Port))
}

func bracket(host string) string {
	if strings.IndexByte(host, ':') < 0 {
		return host
	}
	return "[" + host + "]"
}
