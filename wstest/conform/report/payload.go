package report

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The numbers of octets of a payload that a page shows.
const (
	maxEvent = 256 // of an event
	maxFrame = 256 // of a frame
	maxRaw   = 256 // of a write or read
)

// A payload is octets for a page: text if it prints, else lines of hex.
type payload struct {
	Text string
	Hex  []hexLine
	Cut  string // the shown part, if it is not the whole

	Size   int // of the whole
	Amount string
}

// newPayload shows the first octets of p, most at most, as hex width in a line;
// size is the length of the whole.
func newPayload(p []byte, size, most, width int) payload {
	size = max(size, len(p))
	shown := p[:min(len(p), most)]
	v := payload{Size: size, Amount: octets(size)}
	if text, ok := printable(shown, size); ok {
		v.Text = text
	} else {
		v.Hex = hexDump(shown, width)
	}
	if len(shown) < size {
		v.Cut = fmt.Sprintf("the first %s of %s octets", grouped(len(shown)), grouped(size))
		if len(shown) == 0 {
			v.Cut = grouped(size) + " octets, none of them kept"
		}
	}
	return v
}

// printable returns p as text, if all of its characters are visible.
func printable(p []byte, size int) (string, bool) {
	text, ok := utf8Text(p, size)
	if !ok {
		return "", false
	}
	for _, r := range text {
		if !strconv.IsPrint(r) && r != '\n' && r != '\t' || r == utf8.RuneError {
			return "", false
		}
	}
	return text, true
}

// The numbers of octets in a line of hex.
const (
	wideHex   = 16
	narrowHex = 8
)

// A hexLine is a line of hex.
type hexLine struct {
	Offset string
	Octets string // as wide as a full line
	Text   string
}

// hexDump returns p in lines of width octets.
func hexDump(p []byte, width int) []hexLine {
	var lines []hexLine
	full := len(spacedHex(make([]byte, width)))
	for at := 0; at < len(p); at += width {
		line := p[at:min(at+width, len(p))]
		lines = append(lines, hexLine{
			Offset: fmt.Sprintf("%04x", at),
			Octets: fmt.Sprintf("%-*s", full, spacedHex(line)),
			Text:   asciiText(line),
		})
	}
	return lines
}

// spacedHex returns p as hex in groups of two digits, with a wider gap after
// each eight.
func spacedHex(p []byte) string {
	var b strings.Builder
	for i, octet := range p {
		switch {
		case i > 0 && i%narrowHex == 0:
			b.WriteString("  ")
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString([]byte{octet}))
	}
	return b.String()
}

// asciiText returns p with a dot for each octet that does not print.
func asciiText(p []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, latin1(p))
}

// latin1 returns a string of one character for each octet.
func latin1(p []byte) string {
	runes := make([]rune, len(p))
	for i, octet := range p {
		runes[i] = rune(octet)
	}
	return string(runes)
}
