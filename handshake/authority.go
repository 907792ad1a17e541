package handshake

import (
	"net/netip"
	"strings"

	"github.com/fibersock/fibersock/internal/texts"
)

// authority is host[:port] of a Host field, an absolute-form target or an
// Origin. It has neither userinfo nor zone.
type authority struct {
	host string // without brackets, in the peer's case
	port uint16 // 0 for none
}

// parseAuthority parses uri-host [ ":" port ] of RFC 3986, Section 3.2. The
// port may be empty after the colon.
func parseAuthority(s string) (a authority, ok bool) {
	parts, reason := cutPort(s)
	if reason != "" || !parts.validHost() {
		return authority{}, false
	}
	a.host = parts.host
	if parts.port != "" {
		if a.port, ok = parsePort(parts.port); !ok {
			return authority{}, false
		}
	}
	return a, true
}

// hostPort is a string host [ ":" port ] split into its parts, which are not
// validated.
type hostPort struct {
	host      string // without brackets
	port      string // without ":"
	hasPort   bool   // has ":"
	bracketed bool   // the host has brackets
}

// cutPort splits s at the colon before the port. The reason is not empty if the
// brackets are malformed.
func cutPort(s string) (p hostPort, reason string) {
	if !strings.HasPrefix(s, "[") {
		p.host, p.port, p.hasPort = strings.Cut(s, ":")
		return p, ""
	}
	var found bool
	p.bracketed = true
	if p.host, p.port, found = strings.Cut(s[1:], "]"); !found {
		return hostPort{}, `IPv6 address without "]"`
	}
	p.port, p.hasPort = strings.CutPrefix(p.port, ":")
	if !p.hasPort && p.port != "" {
		return hostPort{}, `only a port can follow the "]"`
	}
	return p, ""
}

// validHost reports whether the host is an IPv6 address in brackets or a
// reg-name without.
func (p hostPort) validHost() bool {
	if p.bracketed {
		return validIPv6(p.host)
	}
	return validRegName(p.host)
}

// parsePort parses a decimal number from 1 to 65535.
func parsePort(s string) (uint16, bool) {
	n, ok := texts.Number(s, 10, 1<<16-1)
	return uint16(n), ok && n != 0
}

// validIPv6 reports whether s, the text between the brackets, is an IPv6
// address without a zone.
func validIPv6(s string) bool {
	if strings.IndexByte(s, '%') >= 0 {
		return false
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is6()
}

// validRegName reports whether s is a non-empty reg-name. An IPv4 address is a
// reg-name too.
func validRegName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch {
		case octets[s[i]]&hostByte != 0:
		case isPercentEncoded(s[i:]):
			i += 2
		default:
			return false
		}
	}
	return s != ""
}

// isPercentEncoded reports whether s starts with "%" and two hexadecimal
// digits.
func isPercentEncoded(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

// defaultPort returns the default port of a scheme of the web, or 0 for another
// scheme.
func defaultPort(scheme string) uint16 {
	switch {
	case equalFold(scheme, "ws"), equalFold(scheme, "http"):
		return 80
	case equalFold(scheme, "wss"), equalFold(scheme, "https"):
		return 443
	}
	return 0
}
