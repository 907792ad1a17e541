// Package texts has functions for short texts of errors and HTTP that several
// packages need. It imports no package that makes small programs larger.
package texts

import (
	"strconv"
	"strings"
)

// WithoutPrefix returns the text of err without the library's prefix.
//
//go:noinline
func WithoutPrefix(err error) string { return strings.TrimPrefix(err.Error(), "websocket: ") }

// Quote returns a peer's text for an error or a log line: quoted, and cut after
// limit bytes.
//
//go:noinline
func Quote(s string, limit int) string {
	end := ""
	if len(s) > limit {
		s, end = s[:limit], "..."
	}
	return strconv.Quote(s) + end
}

// Plain is Quote without the quotes. It escapes only the characters that do not
// print.
func Plain(s string, limit int) string {
	var b []byte
	quoted := Quote(s, limit)
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '"' { // the first or last
			continue
		}
		if quoted[i] == '\\' && (quoted[i+1] == '\\' || quoted[i+1] == '"') { // these print
			i++
		}
		b = append(b, quoted[i])
	}
	return string(b)
}

// Number parses s in base 10 or 16. It reports false for other text and for
// numbers above limit. It replaces package strconv, whose errors would make
// every program larger.
//
//go:noinline
func Number(s string, base, limit int) (n int, ok bool) {
	for i := range len(s) {
		digit := int(s[i]) - '0'
		if digit > 9 {
			if digit = int(s[i]|0x20) - 'a' + 10; digit < 10 {
				return 0, false
			}
		}
		if digit < 0 || digit >= base || n > (limit-digit)/base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, s != ""
}
