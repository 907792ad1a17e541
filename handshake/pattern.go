package handshake

import (
	"strconv"
	"strings"
)

// This file parses and matches the patterns of [CheckOrigin] and [CheckHost].
//
//	origin   "*" / "null" / [ scheme "://" ] host [ ":" port ] / scheme "://"
//	host     host [ ":" port ]
//
// In a host, "*" is a wildcard. Alone it matches every host, as the first label
// one or more labels, elsewhere one or more characters of a label. The port "*"
// matches every port.

// PatternError reports a malformed pattern, which matches no request.
type PatternError struct {
	Kind    string // "origin" or "host"
	Pattern string
	Reason  string
}

func (e *PatternError) Error() string {
	return "websocket: " + e.Kind + " pattern " + quote(e.Pattern) + ": " + e.Reason
}

// ValidateOrigins validates patterns for [CheckOrigin]. The error is a
// [*PatternError] for the first malformed pattern.
func ValidateOrigins(patterns []string) error {
	for _, pattern := range patterns {
		if _, reason := parseOriginPattern(pattern); reason != "" {
			return &PatternError{"origin", pattern, reason}
		}
	}
	return nil
}

// ValidateHosts validates patterns for [CheckHost]. The error is a
// [*PatternError] for the first malformed pattern.
func ValidateHosts(patterns []string) error {
	for _, pattern := range patterns {
		if _, reason := parseHostPattern(pattern); reason != "" {
			return &PatternError{"host", pattern, reason}
		}
	}
	return nil
}

// originPattern is a parsed pattern of [CheckOrigin].
type originPattern struct {
	any, null bool   // "*", "null"
	scheme    string // "": http, https, ws or wss
	hostPattern
}

// hostPattern is a parsed pattern of [CheckHost].
type hostPattern struct {
	host    string // with wildcards; without brackets
	port    uint16 // 0 for none
	anyPort bool   // the port is "*"
}

// parseOriginPattern parses a pattern of an origin. The reason is not empty if
// the pattern is malformed.
func parseOriginPattern(s string) (p originPattern, reason string) {
	switch {
	case s == "*":
		return originPattern{any: true}, ""
	case equalFold(s, "null"):
		return originPattern{null: true}, ""
	case s == "":
		return originPattern{}, "empty pattern"
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	switch {
	case scheme == "*":
		return originPattern{}, `scheme "*" is not allowed; a pattern without a scheme allows http, https, ws and wss`
	case found && !validScheme(scheme):
		return originPattern{}, quote(scheme) + " is not a scheme"
	case rest == "" && defaultPort(scheme) != 0:
		return originPattern{}, "host is missing"
	}
	p.scheme = scheme
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		if _, malformed := parseHostPattern(rest[:i]); malformed != "" {
			return originPattern{}, "an origin has no path"
		}
		return originPattern{}, "an origin has no path; write " + quote(s[:len(s)-len(rest)+i])
	}
	if rest != "" {
		p.hostPattern, reason = parseHostPattern(rest)
	}
	return p, reason
}

// parseHostPattern parses host [ ":" port ], which can contain wildcards. The
// reason is not empty if the pattern is malformed.
func parseHostPattern(s string) (p hostPattern, reason string) {
	parts, reason := cutPort(s)
	switch {
	case reason != "":
	case parts.bracketed:
		if !validIPv6(parts.host) {
			reason = "brackets must contain an IPv6 address without a zone"
		}
	case strings.HasPrefix(parts.port, "//"):
		reason = "a host has no scheme"
	case strings.IndexByte(parts.port, ':') >= 0:
		reason = "an IPv6 address needs brackets"
	default:
		reason = checkHostWildcards(parts.host)
	}
	if reason != "" {
		return hostPattern{}, reason
	}
	p.host = parts.host
	switch {
	case !parts.hasPort:
	case parts.port == "*":
		p.anyPort = true
	default:
		var ok bool
		if p.port, ok = parsePort(parts.port); !ok {
			return hostPattern{}, `port must be a number from 1 to 65535, or "*"`
		}
	}
	return p, ""
}

// checkHostWildcards validates a host that is not an IPv6 address. The reason
// is empty if the host is well formed.
func checkHostWildcards(host string) (reason string) {
	if host == "" {
		return "host is missing"
	}
	for i := range len(host) {
		switch c := host[i]; {
		case isAlpha(c), isDigit(c), strings.IndexByte("-._~*", c) >= 0:
		case c >= 0x80:
			return "host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example"
		case c == ',':
			return "a pattern is not a list; use one pattern for each member"
		case c == '@':
			return "a pattern has no user"
		default:
			return strconv.QuoteRune(rune(c)) + " is not allowed in a host"
		}
	}
	if host == "*" || host == "." { // the origin of an app can be "app://."
		return ""
	}
	if host[0] == '.' {
		return `host starts with a dot; prepend "*" to allow all hosts below`
	}
	labels := strings.TrimSuffix(strings.TrimPrefix(host, "*."), ".")
	if labels == "" {
		return "host is missing"
	}
	for plain := 0; labels != ""; { // from the right
		var label string
		i := strings.LastIndexByte(labels, '.')
		label, labels = labels[i+1:], labels[:max(i, 0)]
		switch wildcards := strings.Count(label, "*"); {
		case label == "":
			return "host has an empty label"
		case wildcards == 0:
			plain++
		case plain < 2:
			return `a wildcard within a label needs two labels without one after it, as in "pr-*.preview.example"; otherwise anybody could register a matching name`
		case wildcards > 1:
			return "more than one wildcard in a label"
		}
	}
	return ""
}

// matches reports whether the pattern allows o.
func (p *originPattern) matches(o origin) bool {
	return p.any || p.matchesIgnoringPort(o) && (p.anyPort || o.samePort(p.port))
}

// matchesIgnoringPort reports whether the pattern allows o on some port.
func (p *originPattern) matchesIgnoringPort(o origin) bool {
	switch {
	case p.null:
		return false
	case p.scheme == "":
		return o.isWeb() && matchHost(o.host, p.host)
	}
	return equalFold(o.scheme, p.scheme) && matchHost(o.host, p.host)
}

// matches reports whether the pattern allows a. Without a port, and with the
// port "*", it allows every port.
func (p *hostPattern) matches(a authority) bool {
	return (p.port == 0 || p.port == a.port) && matchHost(a.host, p.host)
}

// matchHost reports whether a host matches the host of a pattern.
func matchHost(host, pattern string) bool {
	if pattern == "*" {
		return true
	}
	for { // one label at a time, from the right
		h, p := strings.LastIndexByte(host, '.'), strings.LastIndexByte(pattern, '.')
		if !matchLabel(host[h+1:], pattern[p+1:]) || p >= 0 && h < 0 {
			return false
		}
		if p < 0 {
			return h < 0
		}
		host, pattern = host[:h], pattern[:p]
		if pattern == "*" {
			return host != ""
		}
	}
}

// matchLabel reports whether a label matches the label of a pattern, in which
// "*" matches one or more characters.
func matchLabel(label, pattern string) bool {
	before, after, wildcard := strings.Cut(pattern, "*")
	if !wildcard {
		return equalFold(label, pattern)
	}
	return len(label) >= len(pattern) && equalFold(label[:len(before)], before) && equalFold(label[len(label)-len(after):], after)
}
