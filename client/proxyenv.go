package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// ProxyFromEnvironment returns a Proxy that the environment names, with the
// rules of http.ProxyFromEnvironment of net/http.
// HTTPS_PROXY is for wss URLs, HTTP_PROXY for ws URLs, and ALL_PROXY, which
// net/http does not know, for both. The names may be in lower case; upper case
// wins. The value is a URL as in ProxyURL.
//
// NO_PROXY lists, separated by commas, the servers that are connected directly:
//
//	example.com           this host and the hosts below it
//	.example.com          the hosts below example.com
//	*.example.com         the same
//	192.0.2.1, ::1        an address in the URL; names are not resolved
//	10.0.0.0/8            addresses with a prefix
//	example.com:8080      any of the above but a prefix, with a port
//	*                     all servers
//
// localhost and loopback addresses are always connected directly. The
// environment is read by each Dial.
//
// Dial returns a *ProxyError for a value that is not the URL of a proxy, and
// for HTTP_PROXY in a CGI program, where a client could set it by a header
// field.
func ProxyFromEnvironment() Proxy {
	return proxyFunc(func(_ context.Context, u *handshake.URL) (string, error) {
		name, url, err := environmentProxy(u)
		if err == nil && url != "" {
			_, err = handshake.ParseProxyURL(url)
		}
		if err != nil {
			return "", &ProxyError{Err: &environmentError{name, err}}
		}
		return url, nil
	})
}

// environmentProxy returns the URL of the proxy for u, "" for none, and the
// environment variable that has it.
func environmentProxy(u *handshake.URL) (name, url string, err error) {
	name, url = environ("HTTP_PROXY")
	if u.Secure {
		name, url = environ("HTTPS_PROXY")
	}
	fromHeader := url != "" && !u.Secure && os.Getenv("REQUEST_METHOD") != ""
	if url == "" {
		name, url = environ("ALL_PROXY")
	}
	if url == "" || isLocal(u.Host) {
		return "", "", nil
	}
	if _, direct := environ("NO_PROXY"); matchesNoProxy(direct, u) {
		return "", "", nil
	}
	if fromHeader {
		err = errProxyFromHeader
	}
	return name, url, err
}

var errProxyFromHeader = errors.New("not used in a CGI program (REQUEST_METHOD is set), where a client can set it by a header field; use ALL_PROXY")

// environ returns the environment variable name, or the one in lower case if
// name is empty or missing.
func environ(name string) (found, value string) {
	for _, name := range [...]string{name, strings.ToLower(name)} {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// environmentError names the environment variable that has an invalid value.
type environmentError struct {
	name string
	err  error
}

func (e *environmentError) Error() string {
	return "environment variable " + e.name + ": " + withoutPrefix(e.err)
}

func (e *environmentError) Unwrap() error { return e.err }

// isLocal reports whether host is this machine.
func isLocal(host string) bool {
	ip := parseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// parseIP returns the address that host is, without a zone, nil for a name.
func parseIP(host string) net.IP {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return net.IP(ip.AsSlice())
}

// matchesNoProxy reports whether an entry of list, a value of NO_PROXY, matches
// u. Entries that cannot be parsed match nothing.
func matchesNoProxy(list string, u *handshake.URL) bool {
	ip := parseIP(u.Host)
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "*" {
			return true
		}
		if _, prefix, err := net.ParseCIDR(entry); err == nil {
			if ip != nil && prefix.Contains(ip) {
				return true
			}
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil {
			host, port = entry, ""
		}
		if (port == "" || strings.HasSuffix(u.Address(), ":"+port)) && matchesHost(host, u.Host, ip) {
			return true
		}
	}
	return false
}

// matchesHost reports whether an entry of NO_PROXY without a port matches host.
// ip is the host as an address, nil for a name.
func matchesHost(entry, host string, ip net.IP) bool {
	if address := net.ParseIP(entry); address != nil || ip != nil {
		return address.Equal(ip)
	}
	if strings.HasPrefix(entry, "*.") {
		entry = entry[1:]
	}
	switch {
	case entry == "":
		return false
	case entry[0] == '.':
		return strings.HasSuffix(host, entry)
	}
	return host == entry || strings.HasSuffix(host, "."+entry)
}
