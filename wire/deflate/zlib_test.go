package deflate

import (
	_ "embed"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/zlib.txt
var zlibStreams string

// Streams of zlib keep their text, within the negotiated window. For 8 bits
// zlib uses a window of 9 bits, but refers to no more than 250 bytes before.
func TestStreamsOfZlib(t *testing.T) {
	var texts []string
	streams := 0
	for line := range strings.Lines(zlibStreams) {
		switch kind, rest, _ := strings.Cut(strings.TrimSpace(line), " "); kind {
		case "text":
			var text string
			if err := json.Unmarshal([]byte(rest), &text); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		case "stream":
			streams++
			f := strings.Fields(rest)
			bits, err := strconv.Atoi(f[0])
			if err != nil || len(f) != 3+len(texts) {
				t.Fatalf("%d fields, error %v", len(f), err)
			}
			t.Run(strings.Join(f[:3], "/"), func(t *testing.T) {
				opts := DecompressorOptions{bits, f[1] == "takeover"}
				whole, pieces := NewDecompressor(opts), NewDecompressor(opts)
				for i, p := range f[3:] {
					got, err := inflateWhole(whole, unhex(t, p), len(texts[i]))
					if err != nil || string(got) != texts[i] {
						t.Errorf("message %d: got %q, error %v", i, got, err)
					}
					got, err = inflatePieces(pieces, unhex(t, p), len(texts[i]), upTo(13), upTo(50))
					if err != nil || string(got) != texts[i] {
						t.Errorf("message %d in pieces: got %q, error %v", i, got, err)
					}
				}
			})
		}
	}
	if len(texts) != 10 || streams != 15 {
		t.Errorf("%d texts, %d streams", len(texts), streams)
	}
}
