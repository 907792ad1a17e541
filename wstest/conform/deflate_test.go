package conform

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// compress/flate and the judge's inflater read the deflater's output with that window (7692-7.2.1-a, 7692-7.1.2.2-d).
func TestDeflatedMessagesInflate(t *testing.T) {
	for name, sample := range fewerSamples() {
		for bits := 8; bits <= 15; bits++ {
			for _, takeover := range []bool{false, true} {
				d, f := newDeflater(bits, takeover), newInflater(bits, takeover)
				var history []byte
				at := 0
				for _, size := range messageSizes {
					if (bits < 12 && size > 1<<12 || size > largestMessage) && !*Full {
						continue // many restarts, of the level for short messages, or many windows
					}
					m := cut(sample, &at, size)
					p := d.message([]byte("before"), m)
					if !bytes.HasPrefix(p, []byte("before")) {
						t.Fatalf("%s: the payload is not appended", name)
					}
					p = p[len("before"):]
					what := fmt.Sprintf("%s, window %d, takeover %t, %d bytes", name, bits, takeover, size)
					if got, err := f.message(nil, p, len(m)); err != nil || !bytes.Equal(got, m) {
						t.Fatalf("%s: got %d bytes, error %v", what, len(got), err)
					}
					if got, ok := inflateByFlate(history, p, len(m)); !ok || !bytes.Equal(got, m) {
						t.Fatalf("%s: compress/flate reads %d bytes, accepts: %t", what, len(got), ok)
					}
					if takeover {
						history = append(history, m...)
						history = history[len(history)-min(len(history), 1<<15):]
					}
					if max := size + 10*(size>>bits+1) + 10; len(p) > max {
						t.Errorf("%s: %d bytes, more than %d", what, len(p), max)
					}
				}
			}
		}
	}
}

// 7692-7.2.1-d
func TestEmptyMessageDeflates(t *testing.T) {
	if p := newDeflater(15, true).message(nil, nil); !bytes.Equal(p, []byte{0}) {
		t.Errorf("got % x, want 00", p)
	}
}

// A receiver that wrongly drops its window, or that keeps it where it should not be needed, is caught:
// messages refer to earlier ones exactly if takeover is agreed (7692-7.2.2-b, 7692-7.1.1.1-a).
func TestMessagesReferToEarlierOnes(t *testing.T) {
	for bits := 9; bits <= 15; bits++ {
		m := []byte(`{"name":"tern","legs":2,"wings":2}`)
		d := newDeflater(bits, true)
		first, second := d.message(nil, m), d.message(nil, m)
		if 2*len(second) > len(first) {
			t.Errorf("window %d: %d bytes, and again %d", bits, len(first), len(second))
		}
		if _, err := newInflater(bits, true).message(nil, second, 1000); err == nil || !strings.Contains(err.Error(), "too far back") {
			t.Errorf("window %d: the second message alone: error %v", bits, err)
		}
		d = newDeflater(bits, false)
		if first, second := d.message(nil, m), d.message(nil, m); !bytes.Equal(first, second) {
			t.Errorf("window %d: without takeover the same message is % x and % x", bits, first, second)
		}
	}
}

// A peer that agreed to a small window and keeps less is caught too: the whole window is used.
func TestWholeWindowIsUsed(t *testing.T) {
	for bits := 10; bits <= 15; bits++ {
		d, f := newDeflater(bits, true), newInflater(bits-1, true)
		for i := 0; ; i++ {
			m := jsonData.bytes()[1000*i:][:1000]
			if _, err := f.message(nil, d.message(nil, m), len(m)); err != nil {
				if !strings.Contains(err.Error(), "too far back") {
					t.Errorf("window %d: %v", bits, err)
				}
				break
			}
			if i == 100 {
				t.Fatalf("window %d: a hundred messages need no more than half of it", bits)
			}
		}
	}
}

func TestTextDeflatesWell(t *testing.T) {
	for _, c := range []struct {
		data *dataset
		bits int
		most int // percent
	}{
		{jsonData, 15, 25}, {jsonData, 9, 60}, {htmlData, 15, 40}, {novelData, 15, 50}, {novelData, 9, 70}, {documentData, 15, 101},
	} {
		n, size := len(newDeflater(c.bits, false).message(nil, c.data.bytes())), len(c.data.bytes())
		if 100*n > c.most*size {
			t.Errorf("%s, window %d: %d bytes of %d, more than %d %%", c.data.name, c.bits, n, size, c.most)
		}
	}
}

func FuzzDeflateRoundTrip(f *testing.F) {
	f.Add(15, true, 3, []byte("Hello, Hello, Hello, again and again"))
	f.Add(9, false, 600, jsonData.bytes()[:2000])
	f.Add(9, true, 100, bitmapData.bytes()[40000:42000])
	f.Fuzz(func(t *testing.T, bits int, takeover bool, size int, data []byte) {
		bits = 8 + int(uint(bits)%8)
		size = 1 + int(uint(size)%(1<<17))
		if len(data) > 1000*size {
			return
		}
		d, in := newDeflater(bits, takeover), newInflater(bits, takeover)
		var history []byte
		for len(data) > 0 {
			m := data[:min(size, len(data))]
			data = data[len(m):]
			p := d.message(nil, m)
			if got, err := in.message(nil, p, len(m)); err != nil || !bytes.Equal(got, m) {
				t.Fatalf("got %q, error %v, of %q", got, err, m)
			}
			if got, ok := inflateByFlate(history, p, len(m)); !ok || !bytes.Equal(got, m) {
				t.Fatalf("compress/flate accepts: %t, got %q of %q", ok, got, m)
			}
			if takeover {
				history = append(history, m...)
				history = history[len(history)-min(len(history), 1<<15):]
			}
		}
	})
}
