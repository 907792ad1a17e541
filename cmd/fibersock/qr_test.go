package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// testdata/qr.txt has symbols of another implementation, the npm package qrcode
// 1.5.4: versions with one block and with several, with blocks of two lengths,
// and with version information.
func TestQRCodeEqualsOfAnotherImplementation(t *testing.T) {
	file, err := os.ReadFile("testdata/qr.txt")
	check.Must(t, err)
	versions := make(map[int]bool)
	for symbol := range strings.SplitSeq(strings.TrimPrefix(string(file), `"`), "\n\"") {
		head, want, _ := strings.Cut(`"`+symbol, "\n")
		quoted, parameters, _ := strings.Cut(head, `" version `)
		var text string
		check.Must(t, json.Unmarshal([]byte(quoted+`"`), &text))
		var version, mask int
		check.Must(t, check.Err(fmt.Sscanf(parameters, "%d mask %d", &version, &mask)))
		smallest, err := newQR(text)
		check.Must(t, err)
		check.Equal(t, smallest.version, version, "version")
		q := drawQR(version, qrInterleave(qrData(text, version), version), mask)
		check.Equal(t, q.text(), strings.TrimSpace(want), "version %d", version)
		versions[version] = true
	}
	if len(versions) < 6 {
		t.Errorf("versions %v", versions)
	}
}

// text draws a symbol with # for its dark modules.
func (q *qrCode) text() string {
	var b strings.Builder
	for i, dark := range q.dark {
		if i > 0 && i%q.size == 0 {
			b.WriteByte('\n')
		}
		if dark {
			b.WriteByte('#')
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// The check codewords of the example in ISO/IEC 18004, Annex I, and those of a
// widely printed one.
func TestQRCheckCodewords(t *testing.T) {
	for _, c := range []struct{ data, check []byte }{
		{
			[]byte{0x10, 0x20, 0x0c, 0x56, 0x61, 0x80, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11},
			[]byte{0xa5, 0x24, 0xd4, 0xc1, 0xed, 0x36, 0xc7, 0x87, 0x2c, 0x55},
		},
		{
			[]byte{32, 91, 11, 120, 209, 114, 220, 77, 67, 64, 236, 17, 236, 17, 236, 17},
			[]byte{196, 35, 39, 119, 235, 215, 231, 226, 93, 23},
		},
	} {
		if got := qrRemainder(c.data, qrGenerator(10)); !bytes.Equal(got, c.check) {
			t.Errorf("check codewords % x, want % x", got, c.check)
		}
		if got, want := qrInterleave(c.data, 1), append(bytes.Clone(c.data), c.check...); !bytes.Equal(got, want) {
			t.Errorf("codewords % x, want % x", got, want)
		}
	}
}

// ISO/IEC 18004, Table C.1: level M with each mask.
func TestQRFormat(t *testing.T) {
	for mask, want := range []int{
		0b101010000010010, 0b101000100100101, 0b101111001111100, 0b101101101001011,
		0b100010111111001, 0b100000011001110, 0b100111110010111, 0b100101010100000,
	} {
		check.Equal(t, qrFormat(mask), want, "mask %d", mask)
	}
}

// The mask has the least penalty of all.
func TestQRMask(t *testing.T) {
	const text = "ws://localhost:8080/echo"
	best, err := newQR(text)
	check.Must(t, err)
	for mask := range 8 {
		q := drawQR(best.version, qrInterleave(qrData(text, best.version), best.version), mask)
		if q.penalty() < best.penalty() {
			t.Errorf("mask %d has penalty %d, the chosen one %d", mask, q.penalty(), best.penalty())
		}
	}
}

func TestQRCodeOfALongText(t *testing.T) {
	for n := 0; n <= 666; n += 6 { // about ten of each version, and the longest
		if _, err := newQR(strings.Repeat("a", n)); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := newQR(strings.Repeat("a", 667)); err == nil || !strings.Contains(err.Error(), "text of 667 bytes exceeds 666") {
		t.Errorf("667 bytes: %v", err)
	}
}
