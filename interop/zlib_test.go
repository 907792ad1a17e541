package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peer"
	"github.com/fibersock/fibersock/wire/deflate"
)

// A zlibJob is a list of messages that share a context, for peers/zlib.py and
// peers/zlib.js. Its answer is the list of compressed or decompressed messages.
// The compressed ones lack 00 00 ff ff at the end.
type zlibJob struct {
	Compress bool     `json:"compress"`
	Bits     int      `json:"bits"`
	Level    int      `json:"level"`
	Messages [][]byte `json:"messages"`
}

// The zlib of Python and of Node decompresses our messages, and we decompress
// theirs.
func TestZlib(t *testing.T) {
	for file, interpreter := range map[string]func() (string, error){"zlib.py": peer.Python, "zlib.js": peer.Node} {
		program, err := interpreter()
		check.Must(t, err)
		run := func(t *testing.T, job zlibJob) (answer [][]byte) {
			t.Helper()
			in, err := json.Marshal(job)
			check.Must(t, err)
			cmd := exec.Command(program, "peers/"+file)
			cmd.Stdin = bytes.NewReader(in)
			out, err := cmd.Output()
			check.Mustf(t, err, "%s", file)
			check.Must(t, json.Unmarshal(out, &answer))
			if len(answer) != len(job.Messages) {
				t.Fatalf("%d messages for %d", len(answer), len(job.Messages))
			}
			return answer
		}
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprintf("%s/%d bits/ours", file, bits), func(t *testing.T) {
				c := deflate.NewCompressor(deflate.CompressorOptions{WindowBits: bits, Takeover: true, Level: bits % 3})
				var texts, compressed [][]byte
				for i, m := range compressible {
					if i%3 == 2 && len(m.payload) > 0 {
						half := len(m.payload) / 2
						p := c.AppendFragment(nil, m.payload[:half], false)
						texts, compressed = append(texts, m.payload), append(compressed, c.AppendFragment(p, m.payload[half:], true))
					} else if p, ok := c.AppendMessage(nil, m.payload); ok {
						texts, compressed = append(texts, m.payload), append(compressed, p)
					}
				}
				if len(texts) < len(compressible)/2 {
					t.Fatalf("%d messages of %d are compressed", len(texts), len(compressible))
				}
				sameMessages(t, run(t, zlibJob{Bits: bits, Messages: compressed}), texts)
			})
			t.Run(fmt.Sprintf("%s/%d bits/theirs", file, bits), func(t *testing.T) {
				job := zlibJob{Compress: true, Bits: max(bits, 9), Level: 1 + bits%9} // zlib has no raw format with 8
				for _, m := range compressible {
					job.Messages = append(job.Messages, m.payload)
				}
				d := deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: job.Bits, Takeover: true})
				var texts [][]byte
				for _, p := range run(t, job) {
					text, _, err := d.Append(nil, p, true, 2<<20)
					check.Must(t, err)
					texts = append(texts, text)
				}
				sameMessages(t, texts, job.Messages)
			})
		}
	}
}

func sameMessages(t *testing.T, got, want [][]byte) {
	t.Helper()
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("message %d: %d bytes %.100q, want %d bytes %.100q", i, len(got[i]), got[i], len(want[i]), want[i])
		}
	}
}
