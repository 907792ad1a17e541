package conform

import (
	"sync"
	"unicode/utf8"
)

// A dataset is a file that the cases of classes 12 and 13 cut their messages
// from. It is generated with the first use and always the same. Safe for
// concurrent use.
type dataset struct {
	name string // as in "1000 bytes of prose"
	text bool   // its messages are Text, and counted in characters
	make func() []byte

	once sync.Once
	data []byte
	// The characters of more than one byte, in their order.
	wide []wideCharacter
}

// wideCharacter is a character of more than one byte.
type wideCharacter struct {
	at    int // the number of characters before it
	extra int // its length in bytes, less one
}

// The data sets. The cases are about their sizes and their compression ratios,
// not about their content.
var (
	jsonData     = &dataset{name: "JSON", text: true, make: makeRecords} // 194056 bytes, all of them ASCII
	bitmapData   = &dataset{name: "a bitmap", make: makePicture}         // 263222 bytes
	novelData    = &dataset{name: "prose", make: makeNovel}              // 222218 bytes
	htmlData     = &dataset{name: "HTML", text: true, make: makeHTML}    // 263647 bytes, 263620 characters
	documentData = &dataset{name: "a document", make: makeDocument}      // 1042328 bytes, hardly compressible
)

// bytes returns the whole file. The caller must not change it.
func (s *dataset) bytes() []byte {
	s.once.Do(func() {
		s.data = s.make()
		if !s.text {
			return
		}
		at := 0
		for _, r := range string(s.data) {
			if n := utf8.RuneLen(r); n > 1 {
				s.wide = append(s.wide, wideCharacter{at, n - 1})
			}
			at++
		}
	})
	return s.data
}

// units returns the length of the file in characters if it is text, else in
// bytes.
func (s *dataset) units() int {
	n := len(s.bytes())
	for _, w := range s.wide {
		n -= w.extra
	}
	return n
}

// offset returns where the unit with this number begins, in bytes.
func (s *dataset) offset(unit int) int {
	n := unit
	for _, w := range s.wide {
		if w.at < unit {
			n += w.extra
		}
	}
	return n
}

// messages returns a function that returns the next message: the next size
// units of the file, which starts again at its end. A message is valid until
// the next call. The caller must not change it.
func (s *dataset) messages(size int) func() []byte {
	data, units := s.bytes(), s.units()
	at := 0
	var joined []byte
	return func() []byte {
		begin := at
		at += size
		if at < units {
			return data[s.offset(begin):s.offset(at)]
		}
		joined = append(joined[:0], data[s.offset(begin):]...)
		for at -= units; at >= units; at -= units {
			joined = append(joined, data...)
		}
		joined = append(joined, data[:s.offset(at)]...)
		return joined
	}
}
