package handshake

import (
	"net/url"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ base, reference, want string }{ // want "": an error
		{"ws://h/a/b?q", "", "ws://h/a/b?q"},
		{"ws://h/a/b?q", "c", "ws://h/a/c"},
		{"ws://h/a/b?q", "c?x=1", "ws://h/a/c?x=1"},
		{"ws://h/a/b?q", "?x=1", "ws://h/a/b?x=1"},
		{"ws://h/a/b", "?", "ws://h/a/b"},
		{"ws://h/a/b", "/c", "ws://h/c"},
		{"ws://h/a/b/", "../c/./d/..", "ws://h/a/c/"},
		{"ws://h/a/b", "../../../c", "ws://h/c"},
		{"ws://h/a/b", ".", "ws://h/a/"},
		{"ws://h/a/b", "..", "ws://h/"},
		{"ws://h/a/b", "c/../..?../x", "ws://h/?../x"},
		{"ws://h", "c", "ws://h/c"},
		{"ws://h:81/a", "c#fragment", "ws://h:81/c"},
		{"ws://h/a", "#", "ws://h/a"},
		{"ws://u:p@h/a", "b", "ws://h/b"},
		{"wss://h/a", "//other:8443/b", "wss://other:8443/b"},
		{"wss://h/a", "//other", "wss://other/"},
		{"ws://h/a", "http://other/b/../c", "ws://other/c"},
		{"ws://h/a", "HTTPS://Other:443", "wss://other/"},
		{"ws://h/a", "wss://other/b c", "wss://other/b%20c"},
		{"ws://[fe80::1%25eth0]:81/a", "b", "ws://[fe80::1%25eth0]:81/b"},
		{"ws://h/a", `/\other/`, `ws://h/%5Cother/`},
		{"ws://h/a", "b:c", ""}, // a scheme
		{"ws://h/a", "./b:c", "ws://h/b:c"},
		{"ws://h/a", "z0+9-.q:c", ""}, // a scheme
		{"ws://h/a", "b,:c", "ws://h/b,:c"},
		{"ws://h/a", "b/:c", "ws://h/b/:c"},
		{"ws://h/a", "0b:c", "ws://h/0b:c"},
		{"ws://h/a", "+b:c", "ws://h/+b:c"},
		{"ws://h/a", ":c", "ws://h/:c"},
		{"ws://h/a", "ftp://h/b", ""},
		{"ws://h/a", "http:b", ""},
		{"ws://h/a", "//", ""},
		{"ws://h/a", "//u:SECRET@h/", ""},
		{"ws://h/a", "wss://SECRET@other/", ""},
		{"ws://h/a", "javascript:alert(1)", ""},
		{"ws://h/a", "b%zz", ""},
		{"ws://h/a", "b\tc", ""},
		{"ws://h/a", "//h:0", ""},
	} {
		base, err := ParseURL(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := base.Resolve(tt.reference)
		switch {
		case err != nil:
			if _, ok := err.(*URLError); !ok || tt.want != "" || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s + %q: %v, want %q", tt.base, tt.reference, err, tt.want)
			}
		case got.String() != tt.want || got.User != nil:
			t.Errorf("%s + %q = %s, want %q", tt.base, tt.reference, got, tt.want)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	base, err := ParseURL("ws://h/a")
	if err != nil {
		t.Fatal(err)
	}
	for other, want := range map[string]bool{
		"ws://u:p@H:80/b": true, "http://h": true, "ws://h:81/": false, "wss://h:80/": false, "wss://h": false, "ws://x.h/": false, "ws://h./": false,
	} {
		u, err := ParseURL(other)
		if err != nil {
			t.Fatal(err)
		}
		if got := base.SameOrigin(u); got != want || u.SameOrigin(base) != want {
			t.Errorf("%s: %t, want %t", other, got, want)
		}
	}
}

// FuzzResolve: a reference without userinfo has the URI that net/url computes,
// if both accept it.
func FuzzResolve(f *testing.F) {
	for _, reference := range []string{"", "c", "../c/./d/..", "?x", "//other/b", "wss://other/b/../c", "./b:c", "#f", "a//../b", "/..//a/.", "%2e%2e/c", "..;/x", "%2e/\xaf"} {
		f.Add("/a/b?q", reference)
	}
	f.Fuzz(func(t *testing.T, target, reference string) {
		base, err := ParseURL("ws://h.example/" + strings.TrimPrefix(target, "/"))
		if err != nil {
			return
		}
		got, err := base.Resolve(reference)
		if err != nil {
			return
		}
		again, err := ParseURL(got.String())
		if err != nil || again.String() != got.String() || got.User != nil {
			t.Errorf("%s + %q = %+v, which is %+v, %v", base, reference, got, again, err)
		}
		path, _, _ := strings.Cut(got.Target, "?")
		for segment := range strings.SplitSeq(path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%s + %q = %s", base, reference, got)
			}
		}
		if r, err := url.Parse(reference); err != nil || r.RawPath != "" && r.EscapedPath() != r.RawPath {
			return // net/url escapes such a path anew, without %2e, which then is a dot segment
		}
		standard, err := url.Parse(base.String())
		if err != nil {
			return
		}
		if standard, err = standard.Parse(reference); err != nil {
			return
		}
		want, err := ParseURL(strings.TrimSuffix(standard.String(), "#"+standard.EscapedFragment()))
		emptySegment := strings.HasPrefix(got.Target, "//") // net/url removes it after "/.."
		if err == nil && want.User == nil && !emptySegment && !sameButForEscapes(want.String(), got.String()) {
			t.Errorf("%s + %q = %s, by net/url %s", base, reference, got, want)
		}
	})
}

// sameButForEscapes compares URIs decoded: net/url escapes other bytes.
func sameButForEscapes(a, b string) bool {
	decode := func(s string) string {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return s
		}
		return decoded
	}
	return decode(a) == decode(b)
}
