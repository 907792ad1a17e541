package load

// scripts are words in letters of one to four bytes in UTF-8. The first byte is
// ASCII, so that there is a place for the stamp.
const scripts = "a καλημέρα κόσμε こんにちは世界 Ελλάδα 日本語テキスト 🙂🚀🌍 ßüñ "

// Text returns size bytes of valid UTF-8, always the same: Greek, Japanese and
// emoji, about one byte in ten ASCII.
func Text(size int) []byte {
	text := make([]byte, 0, size)
	for {
		for _, r := range scripts {
			letter := string(r)
			if len(text)+len(letter) > size {
				return pad(text, size)
			}
			text = append(text, letter...)
		}
	}
}

func pad(text []byte, size int) []byte {
	for len(text) < size {
		text = append(text, '.')
	}
	return text
}
