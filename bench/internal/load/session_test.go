package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

func TestTextIsUTF8OfTheSizeAsked(t *testing.T) {
	for size := range 300 {
		text := Text(size)
		if len(text) != size || !utf8.Valid(text) {
			t.Fatalf("%d bytes for %d: %q", len(text), size, text)
		}
		if size > 0 && stampPlace(wire.Text, text) != 0 {
			t.Fatalf("no place for the stamp in %q", text)
		}
	}
	ascii := 0
	for _, c := range Text(10_000) {
		if c < 0x80 {
			ascii++
		}
	}
	if ascii > 2000 {
		t.Errorf("%d of 10000 bytes are ASCII", ascii)
	}
}

// open1 returns an open session of a run by itself.
func open1(c Config) *session {
	r := newRun(c, silent{}, script1(c))
	s := &r.sessions[0]
	s.open(0)
	s.wrote(len(s.output()))
	s.state = opened
	return s
}

func script1(c Config) *script { return newScript(c, stampPlace(c.Opcode, c.Payload)) }

func plain(payload []byte, inFlight int) Config {
	return Config{Opcode: wire.Binary, Payload: payload, Fragments: 1, InFlight: inFlight, Conns: 1, VerifyEvery: 3}
}

// unmasked reads the frames in b, each of a whole message, the naive way, and
// returns their payloads.
func unmasked(t *testing.T, b []byte) (payloads [][]byte) {
	t.Helper()
	for len(b) > 0 {
		f, n, err := wire.DecodeFrame(b)
		if err != nil || n == 0 || !f.Masked || !f.Fin || f.Opcode != wire.Binary {
			t.Fatalf("%+v, %v", f.Header, err)
		}
		payloads = append(payloads, f.Payload)
		b = b[n:]
	}
	return payloads
}

// For all sizes of writes the server receives the variants in order.
func TestMessagesAreSentInOrderForAllSizesOfWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{1, 20, 5000, 100_000} {
		for _, inFlight := range []int{1, 3, 16, 40} {
			t.Run(fmt.Sprintf("%d bytes, %d in flight", size, inFlight), func(t *testing.T) {
				s := open1(plain(pattern(size), inFlight))
				var sent []byte
				issued := 0
				for range 50 {
					n := random.IntN(inFlight - s.out.queued + 1)
					s.issue(n, 0)
					issued += n
					if p := s.output(); len(p) > 0 {
						n := random.IntN(len(p)) + 1
						sent = append(sent, p[:n]...)
						s.wrote(n)
					}
				}
				for p := s.output(); len(p) > 0; p = s.output() {
					sent = append(sent, p...)
					s.wrote(len(p))
				}
				got := unmasked(t, sent)
				if len(got) != issued {
					t.Fatalf("%d messages went out, %d were issued", len(got), issued)
				}
				for i, p := range got {
					if !bytes.Equal(p, s.script.variant(i%s.script.variants)) {
						t.Fatalf("message %d is not the %d-th variant", i, i%s.script.variants)
					}
				}
			})
		}
	}
}

func TestCutsDoNotChangeReplies(t *testing.T) {
	const count = 40
	random := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{0, 1, 125, 126, 3000, 70_000} {
		m := plain(pattern(size), 1)
		script := script1(m)
		var stream []byte
		for i := range count {
			p := script.variant(i % script.variants)
			if i%3 == 1 && size > 1 {
				stream = append(appendHeader(stream, OpBinary, 1), p[0])
				stream = append(appendHeader(stream, finBit, size-1), p[1:]...)
				continue
			}
			stream = append(appendHeader(stream, finBit|OpBinary, size), p...)
		}
		for _, most := range []int{1, 3, 100, 5000, len(stream)} {
			t.Run(fmt.Sprintf("%d bytes in pieces of %d", size, most), func(t *testing.T) {
				s := open1(m)
				s.expect(count, 0)
				for rest := stream; len(rest) > 0; {
					if n := min(s.skippable(), random.IntN(most)+1, len(rest)); n > 0 {
						if err := s.skipped(n, 0); err != nil {
							t.Fatal(err)
						}
						rest = rest[n:]
						continue
					}
					n := min(random.IntN(most)+1, len(rest))
					if err := s.receive(rest[:n], 0); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if s.received != count || s.in.begun() || s.run.result.Verified != (count+2)/3 {
					t.Fatalf("%d replies, %d verified", s.received, s.run.result.Verified)
				}
			})
		}
	}
}

// roundTrips returns a function for one message and its reply in two pieces,
// without system calls.
func roundTrips() func() error {
	const size = 200
	s := open1(plain(pattern(size), 4))
	frames := make([][]byte, s.script.variants)
	for i := range frames {
		frames[i] = append(appendHeader(nil, finBit|OpBinary, size), s.script.variant(i)...)
	}
	h := new(Histogram)
	var now time.Duration
	return func() error {
		now++
		s.issue(1, now)
		for p := s.output(); len(p) > 0; p = s.output() {
			s.wrote(len(p))
		}
		s.run.attend(func(*session) error { return nil })
		frame := frames[s.variant]
		if err := s.receive(frame[:30], now); err != nil {
			return err
		}
		err := s.receive(frame[30:], now)
		h.Record(now - s.issuedAt(1))
		return err
	}
}

func TestNothingIsAllocatedPerMessage(t *testing.T) {
	do := roundTrips()
	allocs := testing.AllocsPerRun(1000, func() {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkOwnWorkPerMessage(b *testing.B) {
	do := roundTrips()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMessagesOfALongPayloadStillDiffer(t *testing.T) {
	s := script1(plain(pattern(1<<20), 16))
	if s.variants < minVariants || len(s.rings) != 1 || len(s.rings[0].frames) > 4<<20 {
		t.Errorf("%d variants, %d masking-keys, %d bytes", s.variants, len(s.rings), len(s.rings[0].frames))
	}
}

func TestConnectionsHaveDifferentMaskingKeys(t *testing.T) {
	m := plain(pattern(10), 1)
	m.Conns = 1000
	s := script1(m)
	if len(s.rings) != maxKeys {
		t.Fatalf("%d masking-keys", len(s.rings))
	}
	keys := slices.CompactFunc(s.rings, func(a, b *ring) bool { return bytes.Equal(a.frames[2:6], b.frames[2:6]) })
	if len(keys) < 2 {
		t.Error("they are the same")
	}
}
