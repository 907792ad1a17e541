package handshake

import (
	"strings"
	"testing"
)

func TestParseProxyURL(t *testing.T) {
	for in, want := range map[string]string{ // scheme, address, user and password
		"http://proxy.example":              "http proxy.example:80",
		"HTTPS://Proxy.Example/":            "https proxy.example:443",
		"https://proxy.example:80":          "https proxy.example:80",
		"socks5://proxy.example":            "socks5 proxy.example:1080",
		"SOCKS5H://u:p%40ss@proxy.example":  "socks5 proxy.example:1080 u p@ss",
		"socks5://[::1]:9/x?y":              "socks5 [::1]:9",
		"proxy.example":                     "http proxy.example:80",
		"proxy.example:3128":                "http proxy.example:3128",
		"u:p@proxy.example:3128/":           "http proxy.example:3128 u p",
		"[2001:db8::1]:3128":                "http [2001:db8::1]:3128",
		"http://user%3Ax@proxy.example":     "",
		"":                                  "",
		"http://":                           "",
		"socks://proxy.example":             "",
		"socks4://proxy.example":            "",
		"ws://proxy.example":                "",
		"ftp://u:SECRET@proxy.example":      "",
		"u:SECRET@proxy.example:0":          "",
		"http://u:SECRET@proxy.example:x/":  "",
		"http://proxy.example#SECRET":       "",
		"proxy.example\r\nX: y":             "",
		"http://proxy .example":             "",
		"http://bücher.example":             "",
		"://proxy.example":                  "",
		"u:SECRET/x@proxy.example:port?abc": "",
	} {
		u, err := ParseProxyURL(in)
		if err != nil {
			if _, ok := err.(*URLError); !ok || want != "" || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%q: %v, want %q", in, err, want)
			}
			continue
		}
		got := u.Scheme + " " + u.Address()
		if u.User != nil {
			got += " " + u.User.Username + " " + u.User.Password
		}
		if got != want || u.Secure != (u.Scheme == "https") {
			t.Errorf("%q: %s, want %q", in, got, want)
		}
	}
}

// FuzzParseProxyURL: an URL that is accepted is accepted again from its parts,
// and means the same.
func FuzzParseProxyURL(f *testing.F) {
	for _, seed := range []string{"http://proxy.example", "socks5h://u:p%40ss@[::1]:9", "u:p@proxy:3128/", "https://[fe80::1%25eth0]", "://", "a://b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseProxyURL(s)
		if err != nil {
			return
		}
		again, err := ParseProxyURL(u.String())
		if err != nil || again.Address() != u.Address() || again.Scheme != u.Scheme || again.Secure != u.Secure {
			t.Errorf("%q is %+v, and %q is %+v, %v", s, u, u.String(), again, err)
		}
		if u.Host == "" || u.Port == 0 || u.Target == "" {
			t.Errorf("%q is %+v", s, u)
		}
	})
}
