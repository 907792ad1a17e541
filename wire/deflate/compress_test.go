package deflate_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/fibersock/fibersock/wire/deflate"
)

var tail = []byte{0x00, 0x00, 0xff, 0xff}

// A peer inflates the messages of one Compressor with the strict inflater and
// with compress/flate, and compares the texts.
type peer struct {
	t        testing.TB
	window   int
	takeover bool
	history  []byte
	blocks   [3]int
}

// check inflates in, a message without its tail, which must yield want.
func (p *peer) check(in, want []byte) {
	p.t.Helper()
	if err := p.inflate(in, want); err != nil {
		p.t.Fatalf("message of %d bytes, compressed to %d: %v\n%x", len(want), len(in), err, in[:min(len(in), 300)])
	}
}

func (p *peer) inflate(in, want []byte) error {
	in = append(in[:len(in):len(in)], tail...)
	text, blocks, err := strictInflate(in, p.history, p.window)
	if err != nil {
		return fmt.Errorf("strict inflater: %w", err)
	}
	if !bytes.Equal(text, want) {
		return fmt.Errorf("strict inflater: another text of %d bytes", len(text))
	}
	for _, kind := range blocks {
		p.blocks[kind]++
	}
	r := flate.NewReaderDict(bytes.NewReader(append(in, 0x01, 0x00, 0x00, 0xff, 0xff)), p.history)
	text, err = io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("compress/flate: %w", err)
	}
	if !bytes.Equal(text, want) {
		return fmt.Errorf("compress/flate: another text of %d bytes", len(text))
	}
	p.add(want)
	return nil
}

// add appends text to the history.
func (p *peer) add(text []byte) {
	if p.takeover {
		p.history = append(p.history, text...)
		p.history = p.history[max(0, len(p.history)-p.window):]
	}
}

// eachMode calls f for each window, with and without takeover, and each level.
func eachMode(t *testing.T, f func(t *testing.T, o deflate.CompressorOptions)) {
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			for _, level := range []int{deflate.LevelDefault, deflate.LevelFast, deflate.LevelBest} {
				o := deflate.CompressorOptions{WindowBits: bits, Takeover: takeover, Level: level}
				t.Run(fmt.Sprintf("%d-%v-%d", bits, takeover, level), func(t *testing.T) { f(t, o) })
			}
		}
	}
}

func newPeer(t testing.TB, o deflate.CompressorOptions) *peer {
	return &peer{t: t, window: 1 << o.WindowBits, takeover: o.Takeover}
}

// Messages of every kind inflate to the same text, and no distance exceeds the
// window.
func TestMessagesRoundTrip(t *testing.T) {
	all := streams(t)
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		for _, s := range all {
			c := deflate.NewCompressor(o)
			p := newPeer(t, o)
			for _, m := range s.messages {
				if out, ok := c.AppendMessage([]byte("before"), m); ok {
					if len(out)-6 >= len(m) {
						t.Fatalf("%s: %d bytes, compressed to %d", s.name, len(m), len(out)-6)
					}
					p.check(bytes.TrimPrefix(out, []byte("before")), m)
				} else if string(out) != "before" {
					t.Fatalf("%s: dst has changed to %q", s.name, out)
				}
			}
		}
	})
}
