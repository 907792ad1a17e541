package handshake

import (
	"strconv"
	"strings"
)

// This file reads the patterns of [CheckOrigin] and [CheckHost].
//
//	origin   "*" / "null" / [ scheme "://" ] host [ ":" port ] / scheme "://"
//	host     host [ ":" port ]
//
// In a host, "*" is a wildcard: alone for every host, as the first label for one label or
// more, elsewhere for one character or more of a label. As a port it is every port.

// PatternError reports a pattern that is malformed: no request can match it.
type PatternError struct {
	Kind    string // "origin" or "host"
	Pattern string
	Reason  string
}

func (e *PatternError) Error() string {
	return "websocket: " + e.Kind + " pattern " + quote(e.Pattern) + ": " + e.Reason
}

// ValidateOrigins checks the patterns for [CheckOrigin]. The error is a [*PatternError] for
// the first that is malformed.
func ValidateOrigins(patterns []string) error {
	for _, pattern := range patterns {
		if _, reason := parseOriginPattern(pattern); reason != "" {
			return &PatternError{"origin", pattern, reason}
		}
	}
	return nil
}

// ValidateHosts checks the patterns for [CheckHost]. The error is a [*PatternError] for the
// first that is malformed.
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
	port    uint16 // 0: none given
	anyPort bool
}

// parseOriginPattern parses a pattern of an origin. A reason means that it is malformed.
func parseOriginPattern(s string) (p originPattern, reason string) {
	switch {
	case s == "*":
		return originPattern{any: true}, ""
	case equalFold(s, "null"):
		return originPattern{null: true}, ""
	case s == "":
		return p, "it is empty"
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	switch {
	case scheme == "*":
		return p, `the scheme cannot be "*": without a scheme, a pattern allows http, https, ws and wss`
	case found && !validScheme(scheme):
		return p, quote(scheme) + " is not a scheme"
	case rest == "" && defaultPort(scheme) != 0:
		return p, "the host is missing"
	}
	p.scheme = scheme
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		p.hostPattern, reason = parseHostPattern(rest[:i])
		if reason != "" {
			return p, "an origin has no path"
		}
		return p, "an origin has no path: write " + quote(s[:len(s)-len(rest)+i])
	}
	if rest != "" {
		p.hostPattern, reason = parseHostPattern(rest)
	}
	return p, reason
}

// parseHostPattern parses host [ ":" port ], both perhaps with wildcards. A reason means
// that the pattern is malformed.
func parseHostPattern(s string) (p hostPattern, reason string) {
	host, port, colon := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !validIPv6(s[1:end]) {
			return p, "the brackets must hold an IPv6 address without a zone"
		}
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return p, `only a port may follow the "]"`
		}
		port, colon = strings.CutPrefix(port, ":")
	} else {
		host, port, colon = strings.Cut(s, ":")
		switch {
		case strings.HasPrefix(port, "//"):
			return p, "a host has no scheme"
		case strings.IndexByte(port, ':') >= 0:
			return p, "an IPv6 address must stand in brackets"
		}
		if reason = checkHostWildcards(host); reason != "" {
			return p, reason
		}
	}
	p.host = host
	switch {
	case !colon:
	case port == "*":
		p.anyPort = true
	default:
		var ok bool
		if p.port, ok = parsePort(port); !ok {
			return p, `the port must be a number from 1 to 65535, or "*"`
		}
	}
	return p, ""
}

// checkHostWildcards checks a host that is not an IPv6 address. The reason is empty if it
// is well-formed.
func checkHostWildcards(host string) (reason string) {
	if host == "" {
		return "the host is missing"
	}
	for i := range len(host) {
		switch c := host[i]; {
		case isAlpha(c), isDigit(c), strings.IndexByte("-._~*", c) >= 0:
		case c >= 0x80:
			return "the host must be ASCII; write an international name in its A-label form, such as xn--bcher-kva.example"
		case c == ',':
			return "it is a list; make each of its members a pattern of its own"
		case c == '@':
			return "it cannot hold a user"
		default:
			return strconv.QuoteRune(rune(c)) + " is not allowed in a host"
		}
	}
	if host == "*" || host == "." { // an app's may be "app://."
		return ""
	}
	if host[0] == '.' {
		return `a host does not begin with a dot: "*" in front of it allows all hosts below`
	}
	labels := strings.TrimSuffix(strings.TrimPrefix(host, "*."), ".")
	if labels == "" {
		return "the host is missing"
	}
	for plain := 0; labels != ""; { // from the right
		var label string
		i := strings.LastIndexByte(labels, '.')
		label, labels = labels[i+1:], labels[:max(i, 0)]
		switch wildcards := strings.Count(label, "*"); {
		case label == "":
			return "the host has an empty label"
		case wildcards == 0:
			plain++
		case plain < 2:
			return `within a label, a wildcard must precede at least two labels without one, such as "pr-*.preview.example": others could register a name that matches`
		case wildcards > 1:
			return "a label may hold one wildcard"
		}
	}
	return ""
}

// matches reports whether the pattern allows o.
func (p *originPattern) matches(o origin) bool {
	return p.any || p.matchesBesidesPort(o) && (p.anyPort || o.samePort(p.port))
}

// matchesBesidesPort reports whether the pattern allows o on some port.
func (p *originPattern) matchesBesidesPort(o origin) bool {
	switch {
	case p.null:
		return false
	case p.scheme == "":
		return o.ofWeb() && matchHost(o.host, p.host)
	}
	return equalFold(o.scheme, p.scheme) && matchHost(o.host, p.host)
}

// matches reports whether the pattern allows a.
func (p *hostPattern) matches(a authority) bool {
	return (p.anyPort || p.port == 0 || p.port == a.port) && matchHost(a.host, p.host)
}

// matchHost reports whether a host matches the host of a pattern.
func matchHost(host, pattern string) bool {
	if pattern == "*" {
		return true
	}
	for { // a label after the other, from the right
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

// matchLabel reports whether a label matches one of a pattern, where "*" is one character or
// more.
func matchLabel(label, pattern string) bool {
	before, after, wildcard := strings.Cut(pattern, "*")
	if !wildcard {
		return equalFold(label, pattern)
	}
	return len(label) >= len(pattern) && equalFold(label[:len(before)], before) && equalFold(label[len(label)-len(after):], after)
}
