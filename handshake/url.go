package handshake

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/internal/texts"
)

// URL is a parsed ws or wss URI (RFC 6455, Section 3).
type URL struct {
	Scheme string    // "ws" or "wss"
	Secure bool      // the scheme is "wss"
	Host   string    // lower case, without brackets; an IPv6 address can have a zone
	Port   uint16    // default 80 for ws, 443 for wss
	Target string    // resource name: path and query, percent-encoded
	User   *Userinfo // nil if the URI has none
}

// Userinfo is the user and password of a URI, percent-decoded.
type Userinfo struct {
	Username, Password string
}

// URLError reports an invalid URI.
type URLError struct {
	URL    string // without userinfo, query and fragment, which may be secret
	Reason string
}

func (e *URLError) Error() string {
	return "websocket: URL " + quote(e.URL) + ": " + e.Reason
}

// ParseURL parses a ws or wss URI. The scheme is case-insensitive; http and
// https are synonyms of ws and wss. ParseURL percent-encodes the bytes that the
// path and the query of a URI cannot contain, such as spaces and non-ASCII
// letters, and keeps existing percent-encodings.
//
// [URL.User] holds the userinfo, and only [URL.Authorization] sends it. The
// zone of an IPv6 address ("%25eth0") is part of [URL.Address] and [URL.String]
// and is never sent.
//
// The error is a [*URLError]. Invalid are other schemes, a fragment, even an
// empty one, control characters, a host that is missing or not ASCII, and a
// port outside 1 to 65535.
func ParseURL(s string) (*URL, error) {
	u := new(URL)
	if reason := u.parse(s); reason != "" {
		return nil, &URLError{URL: redact(s), Reason: reason}
	}
	return u, nil
}

// parse sets u to the URI s. It returns a reason in place of an error. The
// reason does not quote the URI: after a misplaced "/" or "?" any part of it
// may be the password.
func (u *URL) parse(s string) (reason string) {
	if reason = checkURI(s); reason != "" {
		return reason
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found || defaultPort(scheme) == 0 {
		return `want "ws://" or "wss://" at the start`
	}
	u.Port = defaultPort(scheme)
	u.Secure = u.Port == 443
	u.Scheme = "ws"
	if u.Secure {
		u.Scheme = "wss"
	}
	return u.parseRest(rest)
}

// checkURI returns a reason if s contains a byte that no URI of this package
// may contain.
func checkURI(s string) (reason string) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "control character"
		}
	}
	if strings.IndexByte(s, '#') >= 0 {
		return `fragment not allowed; write "#" in path or query as %23`
	}
	return ""
}

// parseRest parses the part of a URI after "://". u.Port is the default port.
func (u *URL) parseRest(rest string) (reason string) {
	hostport, target := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hostport, target = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(hostport, '@'); i >= 0 {
		if u.User, reason = parseUserinfo(hostport[:i]); reason != "" {
			return reason
		}
		hostport = hostport[i+1:]
	}
	if reason = u.setHostPort(hostport); reason != "" {
		return reason
	}
	u.Target, reason = resourceName(target)
	return reason
}

func parseUserinfo(s string) (*Userinfo, string) {
	name, password, _ := strings.Cut(s, ":")
	var user Userinfo
	var ok1, ok2 bool
	user.Username, ok1 = decodeUserinfo(name)
	user.Password, ok2 = decodeUserinfo(password)
	switch {
	case !ok1 || !ok2:
		return nil, "user and password must be percent-encoded, without control characters"
	case strings.IndexByte(user.Username, ':') >= 0:
		return nil, "user name contains a colon (RFC 7617)"
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
			n, _ := texts.Number(s[i+1:i+3], 16, 255)
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

// setHostPort parses host [ ":" port ]. After a colon the port is required.
func (u *URL) setHostPort(s string) (reason string) {
	parts, reason := cutPort(s)
	if reason != "" {
		return reason
	}
	if parts.bracketed {
		u.Host, reason = ipv6Host(parts.host)
	} else {
		u.Host, reason = toLower(parts.host), checkHostName(parts.host)
	}
	if reason != "" {
		return reason
	}
	if parts.hasPort {
		var ok bool
		if u.Port, ok = parsePort(parts.port); !ok {
			return "port must be a number from 1 to 65535"
		}
	}
	return ""
}

// ipv6Host parses the text between the brackets: an address and an optional
// zone, which starts with "%25" in a URI (RFC 6874).
func ipv6Host(s string) (host, reason string) {
	addr, zone, zoned := strings.Cut(s, "%25")
	if !validIPv6(addr) {
		return "", "brackets must contain an IPv6 address"
	}
	host = toLower(addr)
	if !zoned {
		return host, ""
	}
	for i := range len(zone) {
		if c := zone[i]; !isAlpha(c) && !isDigit(c) && strings.IndexByte("-._~", c) < 0 {
			return "", "character not allowed in the zone of an IPv6 address"
		}
	}
	if zone == "" {
		return "", "zone of the IPv6 address is empty"
	}
	return host + "%" + zone, ""
}

func checkHostName(s string) (reason string) {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '%' {
			return "host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example"
		}
	}
	switch {
	case s == "":
		return "host is missing"
	case !validRegName(s):
		return "character not allowed in the host"
	}
	return ""
}

// resourceName converts the part of a URI after the authority to the request
// target: the path, or "/" if it is empty, then "?" and the query unless it is
// empty (RFC 6455, Section 3).
func resourceName(s string) (target, reason string) {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+1)
	if s == "" || s[0] == '?' {
		b = append(b, '/')
	}
	if path, query, _ := strings.Cut(s, "?"); query == "" {
		s = path
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case octets[c]&pathByte != 0, c == '?', isPercentEncoded(s[i:]):
			b = append(b, c)
		case c == '%':
			return "", `"%" in path or query without two hexadecimal digits`
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b), ""
}

// redact removes the userinfo, the query and the fragment from a URI that did
// not parse. In doubt it removes more.
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

// HostHeader returns the value of the Host field: the host without a zone, in
// brackets if it is an IPv6 address, and the port unless it is the default of
// the scheme.
func (u *URL) HostHeader() string {
	host, _, _ := strings.Cut(u.Host, "%")
	return bracket(host) + u.explicitPort()
}

// Address returns "host:port" for a dialer. A zone is included.
func (u *URL) Address() string {
	return bracket(u.Host) + ":" + strconv.Itoa(int(u.Port))
}

// String returns the URI without userinfo.
func (u *URL) String() string {
	return u.Scheme + "://" + u.hostPort() + u.Target
}

// hostPort returns the host, with its zone, and the port as in a URI.
func (u *URL) hostPort() string {
	return bracket(strings.Replace(u.Host, "%", "%25", 1)) + u.explicitPort()
}

// Authorization returns the value of an Authorization field with the userinfo
// of the URI (Basic, RFC 7617), or "" if the URI has none.
func (u *URL) Authorization() string {
	if u.User == nil {
		return ""
	}
	credentials := []byte(u.User.Username + ":" + u.User.Password)
	return string(base64.StdEncoding.AppendEncode([]byte("Basic "), credentials))
}

func (u *URL) explicitPort() string {
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
