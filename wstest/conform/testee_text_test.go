package conform

import "unicode/utf8"

// A testeeText checks the text of one message. Each method returns whether all is well so far.
type testeeText interface {
	feed(p []byte) bool // p has come
	endFrame() bool
	endMessage() bool
}

func (s *testeeSession) newText() testeeText {
	if s.text != nil {
		return s.text()
	}
	return &testeeUTF8{}
}

// testeeUTF8 is the check as RFC 6455, 8.1 has it: each octet that cannot be right is found at once.
type testeeUTF8 struct {
	begun []byte // of a code point whose last octets have not come
}

func (u *testeeUTF8) feed(p []byte) bool {
	if len(u.begun) > 0 {
		p = append(u.begun, p...)
	}
	for len(p) > 0 && utf8.FullRune(p) { // FullRune is true of a prefix that can lead nowhere
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		p = p[size:]
	}
	u.begun = append([]byte(nil), p...)
	return true
}

func (u *testeeUTF8) endFrame() bool   { return true }
func (u *testeeUTF8) endMessage() bool { return len(u.begun) == 0 }
