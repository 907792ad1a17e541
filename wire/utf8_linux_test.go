package wire_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// TestUTF8ReadsNothingBesideTheText checks texts at the start or the end of a
// page of memory between pages that cannot be read.
func TestUTF8ReadsNothingBesideTheText(t *testing.T) {
	size := syscall.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check.Must(t, err)
	defer syscall.Munmap(pages)
	for _, guard := range [][]byte{pages[:size], pages[2*size:]} {
		check.Must(t, syscall.Mprotect(guard, syscall.PROT_NONE))
	}
	page := pages[size : 2*size]
	texts := []string{strings.Repeat("a", 300), strings.Repeat("é", 150), strings.Repeat("語", 100), strings.Repeat("𝄞", 75)}
	eachUTF8(t, func(t *testing.T) {
		// Bytes of the same page would change the result if they were read.
		for _, beside := range []string{"a", "\x80", "\xF1"} {
			for _, text := range texts {
				for n := range len(text) + 1 {
					bad, complete := naiveUTF8([]byte(text[:n]))
					for _, at := range []int{0, 1, 2, 3, size - n - 1, size - n} {
						copy(page, strings.Repeat(beside, size))
						p := page[at : at+n]
						copy(p, text)
						wantUTF8(t, p, bad, complete)
					}
				}
			}
		}
	})
}
