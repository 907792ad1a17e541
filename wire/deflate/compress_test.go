package deflate_test

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/fibersock/fibersock/internal/test/traffic"
	"github.com/fibersock/fibersock/wire/deflate"
)

// tail is the end of a compressed message that is not sent.
var tail = []byte{0x00, 0x00, 0xff, 0xff}

// A receiver decompresses the messages of one Compressor with three inflaters:
// the strict one, compress/flate and a Decompressor.
type receiver struct {
	t       testing.TB
	o       deflate.CompressorOptions
	history []byte
	d       *deflate.Decompressor
	z       io.Reader    // of compress/flate, and a flate.Resetter
	text    bytes.Buffer // that z has read
	blocks  [3]int       // blocks of each type
}

func newReceiver(t testing.TB, o deflate.CompressorOptions) *receiver {
	return &receiver{t: t, o: o, z: flate.NewReader(nil), d: deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: o.WindowBits, Takeover: o.Takeover})}
}

// check decompresses in, a message without its tail, and fails the test if the
// text is not want.
func (r *receiver) check(in, want []byte) {
	r.t.Helper()
	if err := r.decompress(in, want); err != nil {
		r.t.Fatalf("%+v: message of %d bytes, compressed to %d: %v\n%x", r.o, len(want), len(in), err, in[:min(len(in), 300)])
	}
}

func (r *receiver) decompress(in, want []byte) error {
	text, _, err := r.d.Append(nil, in, true, len(want)+1)
	if err := differs("Decompressor", text, want, err); err != nil {
		return err
	}
	in = append(in[:len(in):len(in)], tail...)
	text, blocks, err := strictInflate(in, r.history, 1<<r.o.WindowBits)
	if err := differs("strict inflater", text, want, err); err != nil {
		return err
	}
	for _, kind := range blocks {
		r.blocks[kind]++
	}
	final := append(in, 0x01, 0x00, 0x00, 0xff, 0xff)
	if err := r.z.(flate.Resetter).Reset(bytes.NewReader(final), r.history); err != nil {
		return err
	}
	r.text.Reset()
	_, err = r.text.ReadFrom(r.z)
	if err := differs("compress/flate", r.text.Bytes(), want, err); err != nil {
		return err
	}
	if r.o.Takeover {
		r.history = append(r.history, want...)
		r.history = r.history[max(0, len(r.history)-1<<r.o.WindowBits):]
	}
	return nil
}

func differs(inflater string, got, want []byte, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", inflater, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: another text, of %d bytes", inflater, len(got))
	}
	return nil
}

// raceDetector is set in builds with the race detector, which makes these tests
// twenty times as slow.
var raceDetector bool

// eachMode calls f with all windows, with and without takeover, and with all
// levels for some windows; with the race detector, with some windows and the
// default level.
func eachMode(t *testing.T, f func(t *testing.T, o deflate.CompressorOptions)) {
	for bits := 8; bits <= 15; bits++ {
		levels := []int{deflate.LevelDefault}
		some := bits == 8 || bits == 12 || bits == 15
		switch {
		case raceDetector && !some:
			continue
		case some && !raceDetector:
			levels = append(levels, deflate.LevelFast, deflate.LevelBest)
		}
		for _, level := range levels {
			for _, takeover := range []bool{false, true} {
				o := deflate.CompressorOptions{WindowBits: bits, Takeover: takeover, Level: level}
				t.Run(fmt.Sprintf("bits=%d,takeover=%v,level=%d", bits, takeover, level), func(t *testing.T) { f(t, o) })
			}
		}
	}
}

// Messages of every kind are decompressed to the same text, and refer to no text
// before the window.
func TestMessagesRoundTrip(t *testing.T) {
	all := streams(t)
	var blocks [3]int
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		for _, s := range all {
			c := deflate.NewCompressor(o)
			r := newReceiver(t, o)
			for _, m := range s.messages {
				out, ok := c.AppendMessage([]byte("before"), m)
				compressed, found := bytes.CutPrefix(out, []byte("before"))
				switch {
				case !found || !ok && len(compressed) > 0:
					t.Fatalf("%s: dst has become %q", s.name, out)
				case ok && len(compressed) >= len(m):
					t.Fatalf("%s: %d bytes, compressed to %d", s.name, len(m), len(compressed))
				case ok:
					r.check(compressed, m)
				}
			}
			for kind, n := range r.blocks {
				blocks[kind] += n
			}
		}
	})
	for kind, n := range blocks {
		if n == 0 {
			t.Errorf("no block of type %d in all messages", kind)
		}
	}
}

// Messages of several blocks are decompressed to the same text.
func TestLongMessages(t *testing.T) {
	messages := longMessages(t)
	for _, bits := range []int{8, 12, 13, 15} {
		for _, takeover := range []bool{false, true} {
			o := deflate.CompressorOptions{WindowBits: bits, Takeover: takeover, Level: bits % 3}
			c := deflate.NewCompressor(o)
			r := newReceiver(t, o)
			for _, m := range messages {
				if out, ok := c.AppendMessage(nil, m); ok {
					r.check(out, m)
				}
				r.check(c.AppendFragment(nil, m, true), m)
			}
		}
	}
}

// The examples of RFC 7692, Section 7.2.3 whose bytes the format determines.
func TestExamplesOfRFC7692(t *testing.T) {
	c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 15, Takeover: true})
	fragments := func(pieces ...string) string {
		var out []byte
		for i, p := range pieces {
			out = c.AppendFragment(out, []byte(p), i == len(pieces)-1)
		}
		return hex.EncodeToString(out)
	}
	for _, x := range []struct {
		section string
		pieces  []string
		want    string
	}{
		{"7.2.3.1", []string{"Hello"}, "f248cdc9c90700"},
		{"7.2.3.5", []string{"He", "llo"}, "f24805000000ffffcac9c90700"},
		{"7.2.3.6", []string{""}, "00"},
	} {
		c.Forget()
		if got := fragments(x.pieces...); got != x.want {
			t.Errorf("%s: %s, want %s", x.section, got, x.want)
		}
	}

	// Section 7.2.3.2: the second message refers to the first. The RFC's own
	// encoder emits a literal before the match: f2 00 11 00 00.
	c.Forget()
	fragments("Hello")
	second := c.AppendFragment(nil, []byte("Hello"), true)
	if len(second) > 5 {
		t.Errorf("7.2.3.2: %x, want at most 5 bytes", second)
	}
	text, _, err := strictInflate(append(second, tail...), []byte("Hello"), 1<<15)
	if string(text) != "Hello" || err != nil {
		t.Errorf("7.2.3.2: %x is %q, %v", second, text, err)
	}
}

// A message of two fragments is decompressed to the same text, wherever it is
// cut, and so is the message after it.
func TestEveryCutOfMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	messages := [][]byte{traffic.Tick(r, 1), traffic.Random(r, 40), bytes.Repeat([]byte("a"), 300)}
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		for _, m := range messages {
			c := deflate.NewCompressor(o)
			r := newReceiver(t, o)
			for cut := 0; cut <= len(m); cut++ {
				out := c.AppendFragment(nil, m[:cut], false)
				if cut > 0 && !bytes.HasSuffix(out, tail) {
					t.Fatalf("fragment that is not final ends with %x", out)
				}
				out = c.AppendFragment(out, m[cut:], true)
				r.check(out, m)
				if !o.Takeover && c.Size() != 0 {
					t.Fatalf("%d bytes are held after the message", c.Size())
				}
			}
		}
	})
}

// Every fragment can be decompressed when it arrives, and the fragments together
// are the message.
func TestFragmentsOfAnySize(t *testing.T) {
	all := streams(t)
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		rnd := rand.New(rand.NewPCG(7, 8))
		c := deflate.NewCompressor(o)
		r := newReceiver(t, o)
		streaming := deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: o.WindowBits, Takeover: o.Takeover})
		for _, s := range all {
			for _, m := range s.messages[:min(len(s.messages), 6)] {
				var whole []byte
				for rest := m; ; {
					n := min(len(rest), 1+rnd.IntN(1<<rnd.IntN(17)))
					final := n == len(rest)
					before := len(whole)
					whole = c.AppendFragment(whole, rest[:n], final)
					text, _, err := streaming.Append(nil, whole[before:], final, n+1)
					if err := differs("Decompressor", text, rest[:n], err); err != nil {
						t.Fatalf("%s: fragment of %d bytes: %v", s.name, n, err)
					}
					if rest = rest[n:]; final {
						break
					}
				}
				r.check(whole, m)
			}
		}
	})
}

// Fragments of random bytes grow by no more than AppendFragment documents.
func TestFragmentGrowsLittle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 2, 5, 100, 1000, 32 << 10, 32<<10 + 1, 100_000} {
		for _, final := range []bool{false, true} {
			c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 12})
			out := c.AppendFragment(nil, traffic.Random(rnd, n), final)
			if limit := n + 10 + 5*(n/(32<<10)); len(out) > limit {
				t.Errorf("%d bytes, final %v, become %d, want at most %d", n, final, len(out), limit)
			}
		}
	}
}

// A message that is not smaller when compressed leaves no trace.
func TestMessageThatIsNotSmaller(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	o := deflate.CompressorOptions{WindowBits: 12, Takeover: true}
	with, without := deflate.NewCompressor(o), deflate.NewCompressor(o)
	r := newReceiver(t, o)
	for i := range 50 {
		for _, m := range [][]byte{nil, []byte("a"), traffic.Random(rnd, 1+rnd.IntN(50)), traffic.Random(rnd, 40000)} {
			if out, ok := with.AppendMessage([]byte{1, 2}, m); ok || !bytes.Equal(out, []byte{1, 2}) {
				t.Fatalf("%d random bytes: %v, %d bytes", len(m), ok, len(out))
			}
		}
		m := traffic.Tick(rnd, i)
		got, ok := with.AppendMessage(nil, m)
		want, _ := without.AppendMessage(nil, m)
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("message %d: %x, want %x", i, got, want)
		}
		r.check(got, m)
	}
}

// Without takeover equal messages have equal forms, whichever messages other
// connections have sent between them.
func TestEqualMessagesWithoutTakeover(t *testing.T) {
	all := streams(t)
	first := map[string][]byte{}
	for range 2 {
		for _, s := range all {
			c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 15})
			for i, m := range s.messages {
				out, _ := c.AppendMessage(nil, m)
				key := fmt.Sprint(s.name, i)
				if before, ok := first[key]; ok && !bytes.Equal(out, before) {
					t.Fatalf("%s: another form", key)
				}
				first[key] = out
			}
			if c.Size() != 0 {
				t.Fatalf("%s: %d bytes are held", s.name, c.Size())
			}
		}
	}
}

// A shared message is decompressed in every mode, and messages that follow it
// refer to its text.
func TestSharedMessages(t *testing.T) {
	all := streams(t)
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		for _, s := range all {
			c := deflate.NewCompressor(o)
			r := newReceiver(t, o)
			for i, m := range s.messages {
				if out, ok := deflate.AppendShared(nil, m); ok {
					if len(out) >= len(m) {
						t.Fatalf("%s: %d bytes, compressed to %d", s.name, len(m), len(out))
					}
					if _, _, err := strictInflate(append(out[:len(out):len(out)], tail...), nil, 256); err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
					r.check(out, m)
					if i%3 == 0 {
						c.Forget()
					} else {
						c.AddPlain(m)
					}
				}
				if out, ok := c.AppendMessage(nil, m); ok {
					r.check(out, m)
				}
			}
		}
	})

	c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 12, Takeover: true})
	m := traffic.Random(rand.New(rand.NewPCG(13, 14)), 1000)
	c.AddPlain(m)
	if out, ok := c.AppendMessage(nil, m); !ok || len(out) > 20 {
		t.Errorf("repeated message of 1000 bytes: %d bytes, %v, want at most 20", len(out), ok)
	}
}

// The window grows with the text, up to its size, and is released by Forget.
func TestSize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	for bits := 8; bits <= 15; bits++ {
		c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: bits, Takeover: true})
		if n := int(unsafe.Sizeof(*c)); n > 32 { // a size class of the runtime
			t.Fatalf("a Compressor has %d bytes, want at most 32", n)
		}
		if c.Size() != 0 {
			t.Fatalf("%d bits: %d bytes are held before the first message", bits, c.Size())
		}
		sent := 0
		for i := range 400 {
			m := traffic.Tick(rnd, i)
			if _, ok := c.AppendMessage(nil, m); !ok {
				t.Fatalf("message %d is not compressed", i)
			}
			sent += len(m)
			if limit := min(max(2*sent, 256), 1<<bits); c.Size() > limit {
				t.Fatalf("%d bits: %d bytes are held after %d bytes of text, want at most %d", bits, c.Size(), sent, limit)
			}
		}
		c.Forget()
		if c.Size() != 0 {
			t.Fatalf("%d bits: %d bytes are held after Forget", bits, c.Size())
		}
	}
}

func TestWindowBitsOfCompressorOutOfRange(t *testing.T) {
	for _, bits := range []int{-1, 0, 7, 16} {
		func() {
			defer func() {
				if r := recover(); r == nil {
					t.Errorf("%d bits: no panic", bits)
				}
			}()
			deflate.NewCompressor(deflate.CompressorOptions{WindowBits: bits})
		}()
	}
}

// An unknown level is the default.
func TestUnknownLevel(t *testing.T) {
	m := traffic.Tick(rand.New(rand.NewPCG(17, 18)), 1)
	want, _ := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 12}).AppendMessage(nil, m)
	for _, level := range []int{-1, 3, 1000} {
		got, ok := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: 12, Level: level}).AppendMessage(nil, m)
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("level %d: %x, want %x", level, got, want)
		}
	}
}

// Goroutines share the encoders.
func TestConcurrentCompression(t *testing.T) {
	all := streams(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			o := deflate.CompressorOptions{WindowBits: 9 + 2*g, Takeover: g%2 == 0}
			c := deflate.NewCompressor(o)
			r := newReceiver(t, o)
			for _, m := range all[g].messages[:20] {
				out, ok := c.AppendMessage(nil, m)
				if !ok {
					continue
				}
				if err := r.decompress(out, m); err != nil {
					t.Errorf("%s: %v", all[g].name, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// FuzzCompress compresses a sequence of messages in the mode, and of the kinds,
// that the first bytes choose.
func FuzzCompress(f *testing.F) {
	f.Add([]byte{0x4c, 0}, []byte(strings.Repeat("Hello, hello. ", 20)))
	f.Add([]byte{0x08, 1, 2, 3, 4, 5}, []byte(`{"a":1,"b":[1,2,3],"a":1,"b":[1,2,3]}`))
	f.Add([]byte{0x5f, 7, 6, 5, 4, 3, 2, 1}, bytes.Repeat([]byte{0, 0, 0, 1}, 2000))
	f.Add([]byte{0x2f, 0xff, 0x80, 3, 0x11}, traffic.Random(rand.New(rand.NewPCG(1, 1)), 5000))
	f.Fuzz(func(t *testing.T, control, data []byte) {
		if len(control) == 0 || len(control) > 64 || len(data) > 1<<17 {
			return
		}
		o := deflate.CompressorOptions{
			WindowBits: 8 + int(control[0]&7),
			Takeover:   control[0]>>6&1 != 0,
			Level:      int(control[0] >> 4 & 3),
		}
		c := deflate.NewCompressor(o)
		r := newReceiver(t, o)
		for i, b := range control[1:] {
			// Messages are parts of data that may overlap, so that they refer to
			// each other.
			from := int(b>>3) * len(data) / 32
			m := data[from:min(len(data), from+1<<(i%18))]
			switch b & 7 {
			case 0:
				c.Forget()
			case 1:
				if out, ok := deflate.AppendShared(nil, m); ok {
					r.check(out, m)
					c.AddPlain(m)
				}
			case 2, 3:
				cut := len(m) * int(b) / 256
				out := c.AppendFragment(nil, m[:cut], false)
				r.check(c.AppendFragment(out, m[cut:], true), m)
			default:
				if out, ok := c.AppendMessage(nil, m); ok {
					r.check(out, m)
				}
			}
			if c.Size() > 1<<o.WindowBits {
				t.Fatalf("%+v: %d bytes are held", o, c.Size())
			}
		}
	})
}

// Every length and every distance that a message can contain is decompressed.
func TestEveryLengthAndDistance(t *testing.T) {
	rnd := rand.New(rand.NewPCG(19, 20))
	o := deflate.CompressorOptions{WindowBits: 15, Takeover: true, Level: deflate.LevelBest}
	c := deflate.NewCompressor(o)
	r := newReceiver(t, o)
	window := traffic.Random(rnd, 1<<15)
	for length := 4; length <= 300; length++ {
		for _, dist := range []int{length, 1 << 15, 1 + rnd.IntN(1<<15)} {
			r.history = slices.Clone(window)
			r.d = deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: 15, Takeover: true})
			c.Forget()
			c.AddPlain(window)
			if _, _, err := r.d.Append(nil, stored(window), true, 1<<16); err != nil {
				t.Fatal(err)
			}
			dist = max(dist, length)
			m := slices.Clone(window[len(window)-dist:][:length])
			r.check(c.AppendFragment(nil, m, true), m)
		}
	}
}

// stored returns the message p as stored blocks, without its tail.
func stored(p []byte) (out []byte) {
	for len(p) > 0 {
		n := min(len(p), 1<<15)
		out = append(out, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
		out = append(out, p[:n]...)
		p = p[n:]
	}
	return append(out, 0)
}

// Text that repeats is found again although only some positions of a match are
// in the index: within a message, and in the text of the messages before.
func TestRepeatedText(t *testing.T) {
	eachMode(t, func(t *testing.T, o deflate.CompressorOptions) {
		random := rand.New(rand.NewPCG(7, 8))
		for _, period := range []int{1, 2, 3, 4, 5, 7, 8, 12, 16, 49, 100, 200} {
			c, r := deflate.NewCompressor(o), newReceiver(t, o)
			text := bytes.Repeat(traffic.Letters(random, period, 20), 12000/period)
			out, ok := c.AppendMessage(nil, text)
			// Each 258 bytes are a match of 2 bytes or less.
			if limit := 60 + period + len(text)/128; !ok || len(out) > limit {
				t.Errorf("period %d: %d bytes become %d, want at most %d", period, len(text), len(out), limit)
			}
			r.check(out, text)
		}
	})
}

// After much new text, only some positions are searched. A long match then begins
// far before the position at which it is found.
func TestLongMatchIsFoundLate(t *testing.T) {
	o := deflate.CompressorOptions{WindowBits: 15, Takeover: true, Level: deflate.LevelFast}
	random := rand.New(rand.NewPCG(7, 8))
	before := traffic.Random(random, 14000)
	for range 100 {
		c, r := deflate.NewCompressor(o), newReceiver(t, o)
		message := append(traffic.Random(random, 4000+random.IntN(1000)), before[5000:8000]...)
		for _, m := range [][]byte{before, message} {
			r.check(c.AppendFragment(nil, m, true), m)
		}
	}
}
