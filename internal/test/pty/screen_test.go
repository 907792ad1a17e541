package pty

import (
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	for _, c := range []struct{ output, want string }{
		{"", "▮"},
		{"ab\r\ncd", "ab\ncd▮"},
		{"ab\ncd", "ab\n  cd▮"},
		{"abcdef\rx\x1b[K", "x▮"},
		{"abc\b\bx", "ax▮c"},
		{"abcdefghij", "abcdefgh\nij▮"},
		{"日本語日本", "日本語日\n本▮"},
		{"abcdefg日", "abcdefg\n日▮"},
		{"e\u0301\u0302x\x1b[2D", "▮e\u0301\u0302x"},
		{"日\u0301", "日\u0301▮"},
		{"abc\x1b[2D\x1b[Cx\x1b[1Gy", "y▮bx"},
		{"1\r\n2\r\n3\r\n4", "2\n3\n4▮"},
		{"1\r\n2\x1b[H\x1b[2Jx", "x▮"},
		{"\x1b[?2004ha\x1b[?2004lb\a", "ab▮"},
		{"\x1b[31ma\x1bMb\x01", "ab▮"}, // unknown
		{"\tx", "       x▮"},
	} {
		s := NewScreen(8, 3)
		s.Write([]byte(c.output))
		if got := s.Text(); got != c.want {
			t.Errorf("%q shows\n%s\nwant\n%s", c.output, got, c.want)
		}
		if unknown := len(s.Unknown); (unknown == 3) != strings.Contains(c.output, "\x1bM") || unknown%3 != 0 {
			t.Errorf("%q: unknown %q", c.output, s.Unknown)
		}
	}
}
