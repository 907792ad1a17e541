package texts_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/texts"
)

// A number has digits of its base only, and is at most the limit.
func TestParseNumber(t *testing.T) {
	for _, tt := range []struct {
		s           string
		base, limit int
		n           int
		ok          bool
	}{
		{"0", 10, 9, 0, true},
		{"65535", 10, 65535, 65535, true},
		{"65536", 10, 65535, 0, false},
		{"999", 10, 999, 999, true},
		{"99999999999999999999999999", 10, 999, 0, false},
		{"00000000000000000000000001", 10, 999, 1, true},
		{"fF", 16, 255, 255, true},
		{"09afAF", 16, 1 << 30, 0x9afaf, true},
		{"100", 16, 255, 0, false},
		{"a", 10, 999, 0, false},
		{"g", 16, 255, 0, false},
		{"G", 16, 255, 0, false},
		{"/", 10, 999, 0, false},
		{":", 16, 255, 0, false},
		{"@", 16, 255, 0, false},
		{"`", 16, 255, 0, false},
		{"+1", 10, 999, 0, false},
		{"-1", 10, 999, 0, false},
		{"1 ", 10, 999, 0, false},
		{"1_0", 10, 999, 0, false},
		{"", 10, 999, 0, false},
	} {
		if n, ok := texts.Number(tt.s, tt.base, tt.limit); ok != tt.ok || n != tt.n {
			t.Errorf("%q in base %d up to %d: %d, %t", tt.s, tt.base, tt.limit, n, ok)
		}
	}
}

func TestTextsArePlainOrQuotedAndCut(t *testing.T) {
	for _, tt := range []struct{ in, quoted, plain string }{
		{"", `""`, ""},
		{"12345678", `"12345678"`, "12345678"},
		{"123456789", `"12345678"...`, "12345678..."},
		{`a"b\c`, `"a\"b\\c"`, `a"b\c`},
		{`\\""`, `"\\\\\"\""`, `\\""`},
		{"a\r\nb\x1b", `"a\r\nb\x1b"`, `a\r\nb\x1b`},
		{"grüß", `"grüß"`, "grüß"},
		{"1234567ü", `"1234567\xc3"...`, `1234567\xc3...`},
	} {
		check.Equal(t, texts.Quote(tt.in, 8), tt.quoted, "Quote of %q", tt.in)
		check.Equal(t, texts.Plain(tt.in, 8), tt.plain, "Plain of %q", tt.in)
	}
}

func TestPrefixIsRemovedOnce(t *testing.T) {
	for in, want := range map[string]string{
		"websocket: websocket: x": "websocket: x",
		"x websocket: y":          "x websocket: y",
	} {
		check.Equal(t, texts.WithoutPrefix(errors.New(in)), want, "%s", in)
	}
}
