package handshake_test

import (
	"errors"
	"strings"
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
			if err != nil {
				t.Fatalf("ParseURL(%q): %v", c.in, err)
			}
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
			if err != nil || again != u {
				t.Errorf("ParseURL(%q) = %+v, %v; want the original, %+v", u.String(), again, err, u)
			}
			o := handshake.ClientOffer{Host: u.HostHeader(), Target: u.Target, Key: sampleKey}
			check.OKf(t, check.Err(handshake.AppendRequest(nil, &o)), "the result of ParseURL(%q) cannot be sent", c.in)
		})
	}
}

func TestURIsThatAreRefused(t *testing.T) {
	cases := []struct{ rule, in, says string }{
		{"6455-3-a empty", "", `"ws://"`},
		{"6455-3-a other scheme", "ftp://h/", `"ws://"`},
		{"6455-3-a no scheme", "h/x", `"ws://"`},
		{"6455-3-a scheme alone", "ws:", `"ws://"`},
		{"6455-3-a opaque", "ws:h", `"ws://"`},
		{"6455-3-a white space before it", " ws://h", `"ws://"`},
		{"6455-3-b port zero", "ws://h:0/", "port"},
		{"6455-3-b port too high", "ws://h:65536/", "port"},
		{"6455-3-b port of many digits", "ws://h:99999999999999999999/", "port"},
		{"6455-3-b empty port", "ws://h:/", "port"},
		{"6455-3-b port in letters", "ws://h:http/", "port"},
		{"6455-3-b port with sign", "ws://h:+80/", "port"},
		{"6455-3-b negative port", "ws://h:-1/", "port"},
		{"6455-3-b empty port after IPv6", "ws://[::1]:/", "port"},
		{"6455-3-d fragment", "ws://h/p#f", "fragment"},
		{"6455-3-d empty fragment", "ws://h/p#", "fragment"},
		{"6455-3-d fragment in the query", "ws://h/p?q#f", "fragment"},
		{"6455-3-f bracket not closed", "ws://[::1/", `"]"`},
		{"6455-3-f text after the bracket", "ws://[::1]x/", `"]"`},
		{"6455-3-f IPv4 in brackets", "ws://[192.0.2.1]/", "IPv6"},
		{"6455-3-f IPv6 without brackets", "ws://::1/", "host is missing"},
		{"6455-3-f zone not encoded", "ws://[fe80::1%eth0]/", "IPv6"},
		{"6455-3-f empty zone", "ws://[fe80::1%25]/", "zone"},
		{"6455-3-f zone with a bracket", "ws://[fe80::1%25a%5Db]/", "zone"},
		{"6455-11.1-a host not ASCII", "ws://bücher.example/", "A-label"},
		{"6455-11.1-a host percent-encoded", "ws://b%C3%BCcher.example/", "A-label"},
		{"host missing", "ws:///x", "host is missing"},
		{"host missing before a port", "ws://:80/", "host is missing"},
		{"host with a space", "ws://a b/", "host"},
		{"host with a backslash", `ws://h\x/`, "host"},
		{"T-D17 line end in the host", "ws://h\r\nX: y/", "control"},
		{"T-D17 line end in the path", "ws://h/\r\nX: y", "control"},
		{"T-D17 NUL", "ws://h/\x00", "control"},
		{"T-D17 tab", "ws://h/\t", "control"},
		{"T-D17 DEL", "ws://h/\x7f", "control"},
		{"percent alone", "ws://h/100%", "hexadecimal"},
		{"percent before other letters", "ws://h/%zz", "hexadecimal"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			u, err := handshake.ParseURL(c.in)
			var refused *handshake.URLError
			if !errors.As(err, &refused) {
				t.Fatalf("ParseURL(%q) = %+v, %v; want a *URLError", c.in, u, err)
			}
			if !strings.Contains(refused.Reason, c.says) || !strings.HasPrefix(err.Error(), "websocket: ") {
				t.Errorf("ParseURL(%q): %v; want it to say %s", c.in, err, c.says)
			}
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

// 6455-3-e, T-F12: errors are logged.
func TestErrorsDoNotRepeatSecretsOfTheURI(t *testing.T) {
	for _, in := range []string{
		"ws://user:SECRET@h:0/",
		"ws://user:SECRET@/",
		"ws://user:%zzSECRET@h/",
		"ws://user:SECRET/SECRET@h/",
		"ws://user:SECRET?SECRET@h/",
		"ws://user:SECRET#SECRET@h/",
		"ws://user:SECRET@SECRET@h/",
		"ws://us%3Aer:SECRET@h/",
		"ws://us%0Aer:SECRET@h/",
		"ws://user:SECRET\x00@h/",
		"ftp://user:SECRET@h/",
		"user:SECRET@h/",
		"user:SECRET@h://x/",
		"ws://h:0/?token=SECRET",
		"ws://h/#SECRET",
		"ws://h:0/?mail=a@b&token=SECRET",
	} {
		_, err := handshake.ParseURL(in)
		if err == nil {
			t.Errorf("ParseURL(%q) succeeded", in)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("ParseURL(%q): error repeats a secret: %v", in, err)
		}
	}
	_, err := handshake.ParseURL("ws://h:0/chat?x")
	if want := `websocket: URL "ws://h:0/chat?***": port must be a number from 1 to 65535`; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	_, err = handshake.ParseURL("ws://" + strings.Repeat("h", 1<<20) + ":0/")
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("error for a long URL has %d bytes", len(err.Error()))
	}
}
