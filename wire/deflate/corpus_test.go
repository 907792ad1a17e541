package deflate_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/traffic"
)

// A stream is a sequence of messages of one kind.
type stream struct {
	name     string
	messages [][]byte
}

// streams returns the same streams in every run.
func streams(t testing.TB) []stream {
	return []stream{
		{"ticks", traffic.Make(80, traffic.Tick)},
		{"api", traffic.Make(20, traffic.Object)},
		{"chat", traffic.Make(50, traffic.Chat)},
		{"protobuf", traffic.Make(50, traffic.Protobuf)},
		{"random", traffic.Make(20, func(r *rand.Rand, i int) []byte { return traffic.Random(r, 1+r.IntN(2000)) })},
		{"runs", traffic.Make(15, func(r *rand.Rand, i int) []byte {
			return []byte(strings.Repeat(string(rune('a'+r.IntN(3))), 1+r.IntN(3000)))
		})},
		{"words", traffic.Make(20, func(r *rand.Rand, i int) []byte { return traffic.Letters(r, 1+r.IntN(6000), 1+r.IntN(6)) })},
		{"source", sourceFiles(t)[:8]},
	}
}

// longMessages are longer than a block, and longer than the encoder's buffer.
func longMessages(t testing.TB) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	source := bytes.Join(sourceFiles(t), nil)
	mixed := slices.Concat(source[:40000], traffic.Random(r, 50000), source[:60000])
	return [][]byte{source[:33000], source[:min(len(source), 150000)], traffic.Random(r, 70000), mixed, bytes.Repeat([]byte("ab"), 60000)}
}

// sourceFiles are the Go files of package wire.
func sourceFiles(t testing.TB) (files [][]byte) {
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, p)
	}
	if len(files) < 12 {
		t.Fatalf("%d files of Go source, want 12 or more", len(files))
	}
	return files
}
