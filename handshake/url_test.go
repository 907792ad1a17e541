package handshake_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

func TestURIsThatCanBeConnectedTo(t *testing.T) {
	cases := []struct {
		rule, in                    string
		hostHeader, address, target string
		secure                      bool
	}{
		{"6455-3-a scheme in any case", "WS://h/", "h", "h:80", "/", false},
		{"6455-3-a wss", "wSs://h/", "h", "h:443", "/", true},
		{"6455-3-a http is ws", "http://h/x", "h", "h:80", "/x", false},
		{"6455-3-a https is wss", "HTTPS://h/x", "h", "h:443", "/x", true},
		{"6455-3-b explicit port", "ws://h:8080", "h:8080", "h:8080", "/", false},
		{"6455-3-b highest port", "ws://h:65535", "h:65535", "h:65535", "/", false},
		{"6455-3-c empty path", "ws://h", "h", "h:80", "/", false},
		{"6455-3-c query without path", "ws://h?x=1", "h", "h:80", "/?x=1", false},
		{"6455-3-c empty query", "ws://h/p?", "h", "h:80", "/p", false},
		{"6455-3-c empty path and query", "ws://h?", "h", "h:80", "/", false},
		{"6455-3-c encoded slash stays", "ws://h/a%2Fb", "h", "h:80", "/a%2Fb", false},
		{"6455-3-c case of encoding stays", "ws://h/a%2fb?%c3%BC", "h", "h:80", "/a%2fb?%c3%BC", false},
		{"6455-3-c plus, semicolon, dots stay", "ws://h/a+b;c/../d?e+f;g", "h", "h:80", "/a+b;c/../d?e+f;g", false},
		{"6455-3-c second question mark", "ws://h/a??b?c", "h", "h:80", "/a??b?c", false},
		{"6455-3-d encoded number sign", "ws://h/p%23f", "h", "h:80", "/p%23f", false},
		{"6455-3-f IPv6", "ws://[::1]:81/", "[::1]:81", "[::1]:81", "/", false},
		{"6455-3-f IPv6, default port", "wss://[2001:DB8::1]/", "[2001:db8::1]", "[2001:db8::1]:443", "/", true},
		{"6455-3-f zone is dialed, not sent", "ws://[FE80::1%25Eth0]:81/", "[fe80::1]:81", "[fe80::1%Eth0]:81", "/", false},
		{"6455-3-f T-G08 zone like a domain", "ws://[::1%25.example.com]/", "[::1]", "[::1%.example.com]:80", "/", false},
		{"6455-4.1-j default port is left out", "ws://h:80/", "h", "h:80", "/", false},
		{"6455-4.1-j default port of wss", "wss://h:443/", "h", "h:443", "/", true},
		{"6455-4.1-j default port of the other scheme", "ws://h:443/", "h:443", "h:443", "/", false},
		{"host in lower case", "ws://Server.EXAMPLE.com./A", "server.example.com.", "server.example.com.:80", "/A", false},
		{"A-label", "ws://xn--bcher-kva.example/", "xn--bcher-kva.example", "xn--bcher-kva.example:80", "/", false},
		{"IPv4", "ws://192.0.2.1:8080/", "192.0.2.1:8080", "192.0.2.1:8080", "/", false},
		{"6455-11.1-a letters outside ASCII", "ws://h/ü?ü", "h", "h:80", "/%C3%BC?%C3%BC", false},
		{"6455-11.1-a bytes that are not UTF-8", "ws://h/\xff", "h", "h:80", "/%FF", false},
		{"characters a URI may not hold", "ws://h/a b\"<>[]\\^`{|}?a b[]", "h", "h:80",
			"/a%20b%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D?a%20b%5B%5D", false},
		{"at sign in the path", "ws://h/@x:y", "h", "h:80", "/@x:y", false},
		{"6455-3-e userinfo is not sent as host", "ws://u:p@h:81/", "h:81", "h:81", "/", false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			u, err := handshake.ParseURL(c.in)
			check.Mustf(t, err, "ParseURL(%q)", c.in)
			scheme := "ws"
			if c.secure {
				scheme = "wss"
			}
			if u.HostHeader() != c.hostHeader || u.Address() != c.address || u.Target != c.target || u.Secure != c.secure || u.Scheme != scheme {
				t.Errorf("ParseURL(%q) = Host %q, address %q, target %q, scheme %q, secure %v; want %q, %q, %q, %q, %v", c.in,
					u.HostHeader(), u.Address(), u.Target, u.Scheme, u.Secure, c.hostHeader, c.address, c.target, scheme, c.secure)
			}
			again, err := handshake.ParseURL(u.String())
			u.User = nil
			if err != nil || *again != *u {
				t.Errorf("ParseURL(%q) = %+v, %v; want the original, %+v", u.String(), again, err, u)
			}
			o := handshake.ClientOffer{Host: u.HostHeader(), Target: u.Target, Key: sampleKey}
			check.OKf(t, check.Err(handshake.AppendRequest(nil, &o)), "the result of ParseURL(%q) cannot be sent", c.in)
		})
	}
}

func TestURIsThatAreRefused(t *testing.T) {
	cases := []struct{ rule, in, reason string }{
		{"6455-3-a empty", "", `want "ws://" or "wss://" at the start`},
		{"6455-3-a other scheme", "ftp://h/", `want "ws://" or "wss://" at the start`},
		{"6455-3-a no scheme", "h/x", `want "ws://" or "wss://" at the start`},
		{"6455-3-a scheme alone", "ws:", `want "ws://" or "wss://" at the start`},
		{"6455-3-a opaque", "ws:h", `want "ws://" or "wss://" at the start`},
		{"6455-3-a white space before it", " ws://h", `want "ws://" or "wss://" at the start`},
		{"6455-3-b port zero", "ws://h:0/", `port must be a number from 1 to 65535`},
		{"6455-3-b port too high", "ws://h:65536/", `port must be a number from 1 to 65535`},
		{"6455-3-b port of many digits", "ws://h:99999999999999999999/", `port must be a number from 1 to 65535`},
		{"6455-3-b empty port", "ws://h:/", `port must be a number from 1 to 65535`},
		{"6455-3-b port in letters", "ws://h:http/", `port must be a number from 1 to 65535`},
		{"6455-3-b port with sign", "ws://h:+80/", `port must be a number from 1 to 65535`},
		{"6455-3-b negative port", "ws://h:-1/", `port must be a number from 1 to 65535`},
		{"6455-3-b empty port after IPv6", "ws://[::1]:/", `port must be a number from 1 to 65535`},
		{"6455-3-d fragment", "ws://h/p#f", `fragment not allowed; write "#" in path or query as %23`},
		{"6455-3-d empty fragment", "ws://h/p#", `fragment not allowed; write "#" in path or query as %23`},
		{"6455-3-d fragment in the query", "ws://h/p?q#f", `fragment not allowed; write "#" in path or query as %23`},
		{"6455-3-f bracket not closed", "ws://[::1/", `IPv6 address without "]"`},
		{"6455-3-f text after the bracket", "ws://[::1]x/", `only a port can follow the "]"`},
		{"6455-3-f IPv4 in brackets", "ws://[192.0.2.1]/", `brackets must contain an IPv6 address`},
		{"6455-3-f IPv6 without brackets", "ws://::1/", `host is missing`},
		{"6455-3-f zone not encoded", "ws://[fe80::1%eth0]/", `brackets must contain an IPv6 address`},
		{"6455-3-f empty zone", "ws://[fe80::1%25]/", `zone of the IPv6 address is empty`},
		{"6455-3-f zone with a bracket", "ws://[fe80::1%25a%5Db]/", `character not allowed in the zone of an IPv6 address`},
		{"6455-11.1-a host not ASCII", "ws://bücher.example/", `host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example`},
		{"6455-11.1-a host percent-encoded", "ws://b%C3%BCcher.example/", `host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example`},
		{"host missing", "ws:///x", `host is missing`},
		{"host missing before a port", "ws://:80/", `host is missing`},
		{"host with a space", "ws://a b/", `character not allowed in the host`},
		{"host with a backslash", `ws://h\x/`, `character not allowed in the host`},
		{"T-D17 line end in the host", "ws://h\r\nX: y/", `control character`},
		{"T-D17 line end in the path", "ws://h/\r\nX: y", `control character`},
		{"T-D17 NUL", "ws://h/\x00", `control character`},
		{"T-D17 tab", "ws://h/\t", `control character`},
		{"T-D17 DEL", "ws://h/\x7f", `control character`},
		{"percent alone", "ws://h/100%", `"%" in path or query without two hexadecimal digits`},
		{"percent before other letters", "ws://h/%zz", `"%" in path or query without two hexadecimal digits`},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			u, err := handshake.ParseURL(c.in)
			var refused *handshake.URLError
			if !errors.As(err, &refused) {
				t.Fatalf("ParseURL(%q) = %+v, %v; want a *URLError", c.in, u, err)
			}
			check.Equal(t, refused.Reason, c.reason, "ParseURL(%q)", c.in)
		})
	}
}

// 6455-3-e: userinfo is sent as Basic Authorization and appears nowhere else.
func TestUserinfoBecomesBasicAuthorization(t *testing.T) {
	cases := []struct{ in, authorization string }{
		{"ws://Aladdin:open%20sesame@h/", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617, Section 2
		{"ws://u@h/", "Basic dTo="},
		{"ws://:p@h/", "Basic OnA="},
		{"ws://u:p:q@h/", "Basic dTpwOnE="},
		{"ws://t%C3%BC:%40%2F@h/", "Basic dMO8OkAv"},
		{"ws://@h/", ""},
		{"ws://:@h/", ""},
		{"ws://h/", ""},
	}
	for _, c := range cases {
		u, err := handshake.ParseURL(c.in)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", c.in, err)
			continue
		}
		check.Equal(t, u.Authorization(), c.authorization, "ParseURL(%q).Authorization()", c.in)
		if u.String() != "ws://h/" || u.HostHeader() != "h" || u.Address() != "h:80" || u.Target != "/" {
			t.Errorf("ParseURL(%q) shows its userinfo: %q, %q, %q, %q", c.in, u.String(), u.HostHeader(), u.Address(), u.Target)
		}
	}
}
