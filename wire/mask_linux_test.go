package wire_test

import (
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// TestMaskTouchesNothingBesideThePayload masks payloads at the start or the end
// of a page of memory between pages that can be neither read nor written.
func TestMaskTouchesNothingBesideThePayload(t *testing.T) {
	size := syscall.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check.Must(t, err)
	defer syscall.Munmap(pages)
	for _, guard := range [][]byte{pages[:size], pages[2*size:]} {
		check.Must(t, syscall.Mprotect(guard, syscall.PROT_NONE))
	}
	page := pages[size : 2*size]
	for _, v := range wire.MaskVariants {
		for n := range 1101 {
			v.Into(page[:n], page[:n], 0x3d21fa37)
			v.Into(page[size-n:], page[size-n:], 0x3d21fa37)
			v.Into(page[:n], page[size-n:], 0x3d21fa37)
		}
	}
}
