package peer

import (
	"errors"
	"io"
	"unicode/utf8"
)

var errNotUTF8 = errors.New("the text is not UTF-8")

// A utf8Reader passes on what it reads and fails with errNotUTF8 at the first byte that no UTF-8 text can have there, for libraries that leave
// this check to the application.
type utf8Reader struct {
	from   io.Reader
	partly []byte // a character that has begun
}

func (u *utf8Reader) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	text := append(u.partly, p[:n]...)
	for utf8.FullRune(text) {
		c, size := utf8.DecodeRune(text)
		if c == utf8.RuneError && size == 1 {
			return 0, errNotUTF8
		}
		text = text[size:]
	}
	u.partly = append(u.partly[:0], text...)
	if err == io.EOF && len(u.partly) > 0 {
		return 0, errNotUTF8
	}
	return n, err
}
