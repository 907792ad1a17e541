package main

import "testing"

// 6455-5.5.1-d, T-H06: text of the peer cannot control the terminal.
func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain, déjà vu, 世界, 🎉", "plain, déjà vu, 世界, 🎉"},
		{"a\tb", "a\tb"},
		{"a\nb\r", `a\nb\r`},
		{"\x1b[2J", `\x1b[2J`},
		{"\x07\x00\x7f", `\a\x00\x7f`},
		{"\u009b31m", `\u009b31m`},
		{"user\u202egpj.exe", `user\u202egpj.exe`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"line\u2028paragraph\u2029", `line\u2028paragraph\u2029`},
		{"bad \xff utf-8 \xc3", `bad \xff utf-8 \xc3`},
		{"\ufffd", "\ufffd"},
	} {
		if got := escape(c.in); got != c.want {
			t.Errorf("escape(%q) is %q, want %q", c.in, got, c.want)
		}
	}
}
