package gorilla

import (
	"errors"
	"io"
	"unicode/utf8"
)

var errNotUTF8 = errors.New("text is not UTF-8")

// A utf8Reader fails with errNotUTF8 at the first byte that cannot be part of
// UTF-8.
type utf8Reader struct {
	from    io.Reader
	partial []byte // an incomplete character
}

func (u *utf8Reader) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	text := append(u.partial, p[:n]...)
	for utf8.FullRune(text) {
		c, size := utf8.DecodeRune(text)
		if c == utf8.RuneError && size == 1 {
			return 0, errNotUTF8
		}
		text = text[size:]
	}
	u.partial = append(u.partial[:0], text...)
	if err == io.EOF && len(u.partial) > 0 {
		return 0, errNotUTF8
	}
	return n, err
}
