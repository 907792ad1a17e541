package handshake

import (
	"net/netip"
	"strconv"
	"strings"
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
	host, port, colon := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !validIPv6(s[1:end]) {
			return authority{}, false
		}
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return authority{}, false
		}
		port, colon = strings.CutPrefix(port, ":")
	} else {
		host, port, colon = strings.Cut(s, ":")
		if !validRegName(host) {
			return authority{}, false
		}
	}
	a.host = host
	if colon && port != "" {
		if a.port, ok = parsePort(port); !ok {
			return authority{}, false
		}
	}
	return a, true
}

// parsePort parses a decimal number from 1 to 65535.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n != 0
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
