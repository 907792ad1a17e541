//go:build notls && unix

// Package entropy returns random bytes of the operating system, for secrets.
package entropy

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"sync"
)

// source is the process's generator of random bytes. It is created by the first
// Read.
var source struct {
	mu  sync.Mutex
	rng *rand.ChaCha8 // nil before the first Read
}

// Read fills b with random bytes. It never fails.
func Read(b []byte) {
	source.mu.Lock()
	defer source.mu.Unlock()
	if source.rng == nil {
		source.rng = rand.NewChaCha8(seed())
	}
	source.rng.Read(b)
}

// seed returns random bytes of /dev/urandom, combined with those of the runtime's
// generator, which the kernel seeded when the process started. Either suffices: a
// process without access to /dev/urandom has those of the runtime.
func seed() (s [32]byte) {
	if f, err := os.Open("/dev/urandom"); err == nil {
		io.ReadFull(f, s[:])
		f.Close()
	}
	for word := s[:]; len(word) > 0; word = word[8:] {
		binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)^rand.Uint64())
	}
	return s
}
