package fuzz

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// This file has the rules of RFC 6455, Section 4 for opening handshakes, in the
// simplest form.

// maxMembers is how many members a list in a header may have; not a rule of the
// RFC's.
const maxMembers = 128

// values returns those of all lines with the name.
func values(h handshake.Header, name string) (list []string) {
	for _, f := range h {
		if sameName(f.Name, name) {
			list = append(list, f.Value)
		}
	}
	return list
}

// sameName compares without regard to the case of ASCII letters.
func sameName(a, b string) bool { return asciiLower(a) == asciiLower(b) }

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// members returns those of the list that the lines are together.
func members(lines []string) (list []string) {
	for _, m := range strings.Split(strings.Join(lines, ","), ",") {
		if m = strings.Trim(m, " \t"); m != "" {
			list = append(list, m)
		}
	}
	return list
}

func hasMember(lines []string, want string) bool {
	return slices.ContainsFunc(members(lines), func(m string) bool { return sameName(m, want) })
}

var (
	keyForm     = regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`) // base64 of 16 bytes
	targetForm  = regexp.MustCompile(`^[\x21\x22\x24-\x7e]+$`)
	absolute    = regexp.MustCompile(`(?i)^(?:http|https|ws|wss)://([^/?]*)`)
	regName     = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$`)
	hostAndPort = regexp.MustCompile(`^(\[[^\]]*\]|[^:]*)(?::([0-9]*))?$`)
	http11      = regexp.MustCompile(`^HTTP/1\.[1-9]$`)
)

// isAuthority reports whether s is a host, perhaps with a port, and no userinfo.
func isAuthority(s string) bool {
	parts := hostAndPort.FindStringSubmatch(latin1(s))
	if parts == nil {
		return false
	}
	if port := parts[2]; port != "" {
		if n, err := strconv.Atoi(strings.TrimLeft(port, "0")); err != nil || n > 65535 {
			return false
		}
	}
	if address, literal := strings.CutPrefix(parts[1], "["); literal {
		ip, err := netip.ParseAddr(strings.TrimSuffix(address, "]"))
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	return regName.MatchString(parts[1])
}

// isTarget reports whether s may be the target of a request line.
func isTarget(s string) bool {
	if !matches(targetForm, s) {
		return false
	}
	if uri := absolute.FindStringSubmatch(s); uri != nil {
		return isAuthority(uri[1])
	}
	return s[0] == '/'
}

// opens reports whether a request is an opening handshake: Section 4.2.1, the
// rules for any request without a body, and the limits on lists.
func opens(method, where, proto string, h handshake.Header) bool {
	host, version, keys := values(h, "Host"), values(h, "Sec-WebSocket-Version"), values(h, "Sec-WebSocket-Key")
	for _, length := range values(h, "Content-Length") {
		if length != "0" {
			return false
		}
	}
	return method == "GET" && matches(http11, proto) && isTarget(where) &&
		len(host) == 1 && isAuthority(host[0]) &&
		len(values(h, "Transfer-Encoding")) == 0 && len(values(h, "Expect")) == 0 &&
		hasMember(values(h, "Upgrade"), "websocket") &&
		hasMember(values(h, "Connection"), "upgrade") &&
		len(version) == 1 && version[0] == "13" &&
		len(keys) == 1 && matches(keyForm, keys[0]) &&
		offersSubprotocols(values(h, "Sec-WebSocket-Protocol")) &&
		offersExtensions(values(h, "Sec-WebSocket-Extensions"))
}

// offersSubprotocols reports whether the lines, if there are any, are a list of
// tokens.
func offersSubprotocols(lines []string) bool {
	list := members(lines)
	for _, m := range list {
		if !matches(token, m) {
			return false
		}
	}
	return len(lines) == 0 || len(list) > 0 && len(list) <= maxMembers
}

// offersExtensions reports whether the lines, if there are any, are a list of
// extensions.
func offersExtensions(lines []string) bool {
	count, parts := 0, 0
	for _, line := range lines {
		list, ok := readExtensions(line)
		if !ok {
			return false
		}
		count += len(list)
		parts += countParts(list)
	}
	return len(lines) == 0 || count > 0 && parts <= maxMembers
}

func countParts(list []handshake.Extension) (n int) {
	for _, e := range list {
		n += 1 + len(e.Params)
	}
	return n
}

var (
	parameter = `;[ \t]*(` + tchar + `+)[ \t]*(?:(=)[ \t]*(?:(` + tchar + `+)|"((?s:\\.|[^"\\])*)")[ \t]*)?`
	nextParam = regexp.MustCompile(`^` + parameter)
	nextName  = regexp.MustCompile(`^(` + tchar + `+)[ \t]*`)
	escaped   = regexp.MustCompile(`(?s)\\(.)`)
)

// readExtensions parses a list of extensions by the grammar of Section 9.1, in
// which a quoted value must be a token.
func readExtensions(line string) (list []handshake.Extension, ok bool) {
	rest := strings.TrimLeft(latin1(line), ", \t")
	for rest != "" {
		m := nextName.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		rest = rest[len(m[0]):]
		e := handshake.Extension{Name: m[1]}
		for m := nextParam.FindStringSubmatch(rest); m != nil; m = nextParam.FindStringSubmatch(rest) {
			rest = rest[len(m[0]):]
			p := handshake.Param{Name: m[1], HasValue: m[2] != "", Value: m[3]}
			if p.HasValue && p.Value == "" {
				p.Value = escaped.ReplaceAllString(m[4], "$1")
				if !token.MatchString(p.Value) {
					return nil, false
				}
			}
			e.Params = append(e.Params, p)
		}
		list = append(list, e)
		if rest != "" && rest[0] != ',' {
			return nil, false
		}
		rest = strings.TrimLeft(rest, ", \t")
	}
	return list, true
}

// accepts reports whether a response opens the connection that o asked for:
// Section 4.1.
func accepts(proto string, status int, h handshake.Header, o *handshake.ClientOffer) bool {
	upgrade, accept, subprotocol := values(h, "Upgrade"), values(h, "Sec-WebSocket-Accept"), values(h, "Sec-WebSocket-Protocol")
	if status != 101 || !matches(http11, proto) ||
		len(upgrade) != 1 || !sameName(upgrade[0], "websocket") ||
		!hasMember(values(h, "Connection"), "upgrade") ||
		len(accept) != 1 || accept[0] != acceptOf(o.Key) ||
		len(subprotocol) > 1 || len(subprotocol) == 1 && !slices.Contains(o.Subprotocols, subprotocol[0]) {
		return false
	}
	lines := values(h, "Sec-WebSocket-Extensions")
	for _, line := range lines {
		list, _ := readExtensions(line)
		for _, e := range list {
			if !slices.ContainsFunc(o.Extensions, func(offered handshake.Extension) bool { return sameName(offered.Name, e.Name) }) {
				return false
			}
		}
	}
	return offersExtensions(lines)
}
