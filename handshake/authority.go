package handshake

import (
	"net/netip"
	"strconv"
	"strings"
)

// authority is host[:port] as it stands in a Host field, in an absolute-form
// target and in an Origin: no userinfo and no zone.
type authority struct {
	host string // without brackets, in the peer's case
	port uint16 // 0: none given
}

// parseAuthority understands uri-host [ ":" port ] of RFC 3986, Section 3.2. A colon
// with no digits after it gives no port.
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

// parsePort takes 1 to 65535 in decimal.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n != 0
}

// validIPv6 takes what stands between the brackets, without a zone.
func validIPv6(s string) bool {
	if strings.IndexByte(s, '%') >= 0 {
		return false
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is6()
}

// validRegName takes a non-empty reg-name, which an IPv4 address is too.
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

// isPercentEncoded reports whether s begins with "%" and two hexadecimal digits.
func isPercentEncoded(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

// defaultPort returns the port of a URI without one, 0 for schemes that have none.
func defaultPort(scheme string) uint16 {
	switch {
	case equalFold(scheme, "ws"), equalFold(scheme, "http"):
		return 80
	case equalFold(scheme, "wss"), equalFold(scheme, "https"):
		return 443
	}
	return 0
}
