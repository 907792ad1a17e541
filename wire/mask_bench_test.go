package wire_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// arena is memory for a sequence of payloads: enough of them that none is
// masked again while its last stores are still on their way to the cache, which
// no program does; few enough to fit in the cache.
type arena struct {
	mem          []byte
	size, stride int
}

func newArena(size, offset int) *arena {
	stride := (size + offset + 64) &^ 63
	count := max(1, 8<<10/stride)
	return &arena{make([]byte, offset+count*stride)[offset:], size, stride}
}

// each calls f n times, with one payload after the other.
func (a *arena) each(n int, f func(p []byte)) {
	for n > 0 {
		for i := 0; i+a.size <= len(a.mem) && n > 0; i += a.stride {
			f(a.mem[i : i+a.size : i+a.size])
			n--
		}
	}
}

// contender is one of the functions that a benchmark compares.
type contender struct {
	name string
	run  func(n int) // n times
}

// compare runs the contenders in turns. It prints the median time of the last
// one and its speed relative to each of the others. That ratio is a median too,
// over the rounds, so that a machine that is slow for longer than a round slows
// both sides of it. It returns the median time, in nanoseconds.
func compare(b *testing.B, contenders ...contender) float64 {
	turns := turnsOf(contenders)
	times := make([][]float64, len(contenders))
	for b.Loop() {
		for i, c := range contenders {
			times[i] = append(times[i], c.time(turns[i]))
		}
	}
	last := len(contenders) - 1
	for i, c := range contenders[:last] {
		for round, ours := range times[last] {
			times[i][round] /= ours
		}
		b.ReportMetric(median(times[i]), "of-"+c.name)
	}
	ours := median(times[last])
	b.ReportMetric(ours, "ns/op")
	return ours
}

// turnsOf returns how often each of the contenders runs in its turn. All turns
// take the same time, so that all are interrupted equally often, and hold a few
// runs, so that most runs find the caches as a run of the same contender has
// left them.
func turnsOf(contenders []contender) []int {
	const runs, least = 4, 15e3
	once := make([]float64, len(contenders))
	turn := 0.0
	for i, c := range contenders {
		n := runs
		for {
			once[i] = min(c.time(n), c.time(n), c.time(n))
			if once[i]*float64(n) >= least {
				break
			}
			n *= 2
		}
		turn = max(turn, least, runs*once[i])
	}
	turns := make([]int, len(contenders))
	for i := range turns {
		turns[i] = int(turn / once[i])
	}
	return turns
}

// time returns how long one of n runs takes, in nanoseconds.
func (c contender) time(n int) float64 {
	start := time.Now()
	c.run(n)
	return float64(time.Since(start)) / float64(n)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkMask prints the speed of masking in comparison with copy, which is
// as fast as memory, and with pure Go. Copy has the same payloads in the same
// state of the caches, and one more payload as its destination. Offset 14 is
// where the payload of a long frame begins.
func BenchmarkMask(b *testing.B) {
	const key = 0x3d21fa37
	words := wire.MaskVariants[0].Into
	for _, offset := range []int{0, 14} {
		for _, size := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 33, 64, 125, 256, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("at%d/%d", offset, size), func(b *testing.B) {
				p, q := newArena(size, offset), make([]byte, size+offset)[offset:]
				mask := func(n int) { p.each(n, func(p []byte) { wire.Mask(p, key) }) }
				pureGo := mask // which it is up to 32 bytes
				if size > 32 {
					pureGo = func(n int) { p.each(n, func(p []byte) { words(p, p, key) }) }
				}
				compare(b,
					contender{"copy", func(n int) { p.each(n, func(p []byte) { copy(q, p) }) }},
					contender{"go", pureGo},
					contender{"mask", mask},
				)
			})
		}
	}
}

// BenchmarkAppendMasked prints how fast that is in comparison with appending
// and then masking.
func BenchmarkAppendMasked(b *testing.B) {
	const key = 0x3d21fa37
	for _, size := range []int{8, 32, 125, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p, buf := newArena(size, 0), make([]byte, 14, 14+size)
			compare(b,
				contender{"two-steps", func(n int) {
					p.each(n, func(p []byte) { wire.Mask(append(buf, p...)[len(buf):], key) })
				}},
				contender{"one-step", func(n int) {
					p.each(n, func(p []byte) { wire.AppendMasked(buf, p, key) })
				}},
			)
		})
	}
}
