package conform

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/fibersock/fibersock/internal/test/check"
)

// The sizes are those of the suite, and how well the data compresses is that of data of the same kind. Their content is pinned: two runs
// of the judge send the same.
func TestDataSetsAreOfTheirKind(t *testing.T) {
	for _, c := range []struct {
		data        *dataset
		bytes       int
		units       int
		text        bool
		least, most float64 // how many times as long as after compression
		hash        string
	}{
		{jsonData, 194056, 194056, true, 5, 10, "91bd2744970145cd"},
		{bitmapData, 263222, 263222, false, 1.1, 2, "dcb1eb61e7df008c"},
		{novelData, 222218, 222218, false, 2.5, 4, "2830259d07504d47"},
		{htmlData, 263647, 263620, true, 3, 6, "66545777051566fb"},
		{documentData, 1042328, 1042328, false, 1, 1.03, "707add490f56e68d"},
	} {
		t.Run(c.data.name, func(t *testing.T) {
			data := c.data.bytes()
			if len(data) != c.bytes || c.data.units() != c.units || c.data.text != c.text {
				t.Errorf("%d bytes, %d units, text %t", len(data), c.data.units(), c.data.text)
			}
			if c.text && (!utf8.Valid(data) || utf8.RuneCount(data) != c.units) {
				t.Errorf("valid UTF-8: %t, %d characters", utf8.Valid(data), utf8.RuneCount(data))
			}
			if ratio := float64(len(data)) / float64(flateSize(t, data)); ratio < c.least || ratio > c.most {
				t.Errorf("compresses to 1/%.3f of it", ratio)
			}
			sum := sha256.Sum256(data)
			if got := hex.EncodeToString(sum[:8]); got != c.hash {
				t.Errorf("the content is another: hash %s", got)
			}
			if again := c.data.make(c.bytes); !bytes.Equal(again, data) {
				t.Error("made twice, it is not the same")
			}
		})
	}
}

func flateSize(t *testing.T, data []byte) int {
	t.Helper()
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	check.Must(t, err)
	check.Must(t, check.Err(z.Write(data)))
	check.Must(t, z.Close())
	return b.Len()
}

func TestDataSetsAreWhatTheySay(t *testing.T) {
	if !json.Valid(jsonData.bytes()) {
		t.Error("the records are not JSON")
	}
	d := xml.NewDecoder(bytes.NewReader(htmlData.bytes()))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		check.Mustf(t, err, "the page")
	}
}

// Message k is the next units of the file, which begins again where it ends, also in the middle of a message.
func TestMessagesFollowOneAnother(t *testing.T) {
	for _, s := range []*dataset{jsonData, bitmapData, novelData, htmlData, documentData} {
		for _, size := range []int{16, 1000, 65536, 131072, s.units(), 2*s.units() + 5} {
			next := s.messages(size)
			var all []byte
			for len(all) < 3*len(s.bytes()) {
				m := next()
				n := len(m)
				if s.text {
					n = utf8.RuneCount(m)
				}
				if n != size || s.text && !utf8.Valid(m) {
					t.Fatalf("%s: a message of %d units, want %d; valid: %t", s.name, n, size, utf8.Valid(m))
				}
				all = append(all, m...)
			}
			for i := 0; i < len(all); i += len(s.bytes()) {
				if part := all[i:min(len(all), i+len(s.bytes()))]; !bytes.HasPrefix(s.bytes(), part) {
					t.Errorf("%s in messages of %d: the file from byte %d of what was sent is not the same", s.name, size, i)
				}
			}
		}
	}
}
