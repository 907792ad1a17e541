package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/flatepeer"
	"github.com/fibersock/fibersock/internal/test/traffic"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// tick returns one of many similar messages.
func tick(n int) string {
	return fmt.Sprintf(`{"type":"tick","symbol":"ACME","seq":%d,"bid":%d.25,"ask":%d.75,"venue":"XNYS","currency":"USD"}`, n, 100+n%7, 101+n%7)
}

// sentMessages returns the messages in the output of an endpoint, and which of
// them are compressed. The control frames between them are left out.
func sentMessages(t testing.TB, role endpoint.Role, out []byte, i *flatepeer.Inflater) (texts []string, rsv1 []bool) {
	t.Helper()
	var payload []byte
	var compressed bool
	for rest := bytes.Clone(out); len(rest) > 0; {
		f, n, err := wire.DecodeFrame(rest)
		if err != nil || n == 0 || f.Masked != (role == endpoint.Client) {
			t.Fatalf("no frame: % .20x, %v", rest, err)
		}
		rest = rest[n:]
		if f.Opcode.IsControl() {
			if f.RSV != 0 {
				t.Errorf("a %v has reserved bits", f.Opcode)
			}
			continue
		}
		if f.Opcode != wire.Continuation {
			payload, compressed = nil, f.RSV == wire.RSV1
		} else if f.RSV != 0 {
			t.Error("a continuation has reserved bits")
		}
		payload = append(payload, f.Payload...)
		if !f.Fin {
			continue
		}
		text := string(payload)
		if compressed {
			if bytes.HasSuffix(payload, []byte("\x00\x00\xff\xff")) {
				t.Errorf("the end of a compressed message is not removed: % x", payload)
			}
			p, err := i.Message(payload)
			if err != nil {
				t.Fatalf("compressed payload % .40x…: %v", payload, err)
			}
			text = string(p)
		}
		texts, rsv1 = append(texts, text), append(rsv1, compressed)
	}
	return texts, rsv1
}

// vectored is a VectorWriter.
type vectored struct{ bytes.Buffer }

func (w *vectored) Writev(head, payload []byte) error {
	w.Write(head)
	w.Write(payload)
	return nil
}

// sending returns an endpoint that compresses everything, and its output.
func sending(t testing.TB, role endpoint.Role, answer string) (*endpoint.Endpoint, *vectored) {
	t.Helper()
	w := new(vectored)
	return endpoint.New(w, endpoint.Config{Role: role, Compression: agree(t, role, answer)}), w
}

// Compressed and uncompressed messages alternate freely (7692-6-a); those that
// are compressed end as RFC 7692 says (7692-7.2.1-a). With takeover a message
// refers to the earlier compressed ones; without it equal messages have equal
// payloads, in either direction (7692-7.1.1.1-a, 7692-7.1.1.2-a).
func TestSendingCompressedMessages(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, answer := range []string{takeover, noTakeover} {
			e, w := sending(t, role, answer)
			var want []string
			var compressed []bool
			send := func(err error, text string, isCompressed bool) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				want, compressed = append(want, text), append(compressed, isCompressed)
			}
			send(e.SendText(tick(1)), tick(1), true)
			first := w.Len()
			send(e.SendText(tick(1)), tick(1), true)
			second := w.Len() - first
			send(e.SendUncompressed(wire.Text, []byte(tick(2))), tick(2), false) // T-B13, 7692-8-a
			send(e.Send(wire.Binary, []byte(tick(3))), tick(3), true)
			send(e.SendText(""), "", false)
			if err := e.Ping(nil); err != nil {
				t.Fatal(err)
			}
			send(e.SendText(tick(4)), tick(4), true)
			if (second < first/2) != (answer == takeover) || answer == noTakeover && second != first {
				t.Errorf("%s: the same text has %d and then %d bytes", answer, first, second)
			}
			texts, rsv1 := sentMessages(t, role, w.Bytes(), &flatepeer.Inflater{Takeover: answer == takeover})
			if !slices.Equal(texts, want) || !slices.Equal(rsv1, compressed) {
				t.Errorf("%s: sent %q, compressed %v", answer, texts, rsv1)
			}
		}
	})
}

// Messages below the threshold, and those that compression does not make
// smaller, are sent as they are, at the cost of their frame only (T-B15).
func TestMessagesThatAreNotWorthIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, c := range []struct {
			answer    string
			threshold int
		}{{takeover, 64}, {noTakeover, 256}} {
			var w vectored
			e := endpoint.New(&w, endpoint.Config{Role: role, Compression: agreeAs(t, role, c.answer, new(permessage.Deflate))})
			noise := make([]byte, 64<<10)
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			for _, m := range []struct {
				p          []byte
				compressed bool
			}{
				{bytes.Repeat([]byte("a"), c.threshold-1), false},
				{bytes.Repeat([]byte("a"), c.threshold), true},
				{noise, false},
				{noise[:c.threshold], false},
			} {
				w.Reset()
				if err := e.Send(wire.Binary, m.p); err != nil {
					t.Fatal(err)
				}
				_, rsv1 := sentMessages(t, role, w.Bytes(), new(flatepeer.Inflater))
				if rsv1[0] != m.compressed || w.Len() > len(m.p)+wire.MaxHeaderSize {
					t.Errorf("%s, %d bytes: sent %d, compressed is %v", c.answer, len(m.p), w.Len(), rsv1[0])
				}
			}
		}
	})
}

// A text is checked before it is compressed.
func TestCompressedMessagesThatMayNotBeSent(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, w := sending(t, role, takeover)
		if err := e.Send(wire.Text, []byte("\xff, and more of the same kind, and more")); err != wire.ErrInvalidUTF8 {
			t.Errorf("got %v", err)
		}
		if err := e.Send(wire.Ping, make([]byte, 1000)); err != endpoint.ErrNotData {
			t.Errorf("got %v", err)
		}
		if w.Len() != 0 || e.State() != endpoint.Open {
			t.Errorf("sent %d bytes, %v", w.Len(), e.Err())
		}
	})
}

// Two endpoints with any windows understand each other: no distance is larger
// than the receiver's window (T-B12, 7692-7.1.2.1-a, 7692-7.1.2.2-d,
// 7692-7.2.1-b). Blocks of random bytes return at distances around the window's
// size; the receiver refuses a reference that is too far.
func TestWindowsOfBothSides(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, suffix := range []string{"", "; server_no_context_takeover; client_no_context_takeover"} {
			answer := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d%s", bits, bits, suffix)
			for _, role := range []endpoint.Role{endpoint.Client, endpoint.Server} {
				rng := rand.New(rand.NewPCG(uint64(bits), uint64(role)))
				sender, w := sending(t, role, answer)
				receiver := endpoint.New(io.Discard, endpoint.Config{Role: 1 - role, Compression: agree(t, 1-role, answer)})
				block := make([]byte, 100)
				for i := range block {
					block[i] = byte(rng.Uint32())
				}
				for size := 1 << bits / 2; size < 3<<bits; size += 1 << bits / 4 {
					p := append(bytes.Clone(block), bytes.Repeat([]byte(tick(size)), 1+(size-100)/90)...)
					p = append(p[:size-rng.IntN(100)], block...)
					if err := sender.Send(wire.Binary, p); err != nil {
						t.Fatal(err)
					}
					if got := messages(t, receive(receiver, w.Bytes())); len(got) != 1 || got[0] != string(p) {
						t.Fatalf("%s, %d bytes: got %.100q, %v", answer, size, got, receiver.Err())
					}
					w.Reset()
				}
			}
		}
	}
}

// Fragmentation applies to the compressed bytes, and RSV1 is set in the first
// fragment (7692-6-e).
func TestFragmentsOfACompressedMessage(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var w vectored
		e := endpoint.New(&w, endpoint.Config{Role: role, MaxOutgoingFrame: 10, Compression: agree(t, role, takeover)})
		var want []string
		for n := range 5 {
			want = append(want, tick(n))
			if err := e.SendText(tick(n)); err != nil {
				t.Fatal(err)
			}
		}
		if role == endpoint.Server {
			m, _ := endpoint.Prepare(wire.Text, []byte(tick(7)))
			want = append(want, tick(7))
			if err := e.SendPrepared(m); err != nil {
				t.Fatal(err)
			}
		}
		frames := written(t, role, w.Bytes())
		for _, f := range frames {
			if len(f.Payload) > 10 {
				t.Errorf("a frame of %d bytes", len(f.Payload))
			}
		}
		texts, rsv1 := sentMessages(t, role, w.Bytes(), &flatepeer.Inflater{Takeover: true})
		if !slices.Equal(texts, want) || slices.Contains(rsv1, false) || len(frames) < 2*len(want) {
			t.Errorf("sent %q, compressed %v, in %d frames", texts, rsv1, len(frames))
		}
	})
}

// A message that is written in parts is compressed in bounded memory, and
// control frames pass between its fragments.
func TestWritingACompressedMessage(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, answer := range []string{takeover, noTakeover} {
			e, w := sending(t, role, answer)
			var want []string
			large := strings.Repeat(tick(1), 4000)
			for _, parts := range [][]string{
				{"", tick(1), "", tick(2), ""}, {large}, {large, "", large}, {"é" + tick(1)[:80]}, {""}, {tick(1) + "\xc3", "\xa9"},
			} {
				m, err := e.NextWriter(wire.Text)
				if err != nil {
					t.Fatal(err)
				}
				for i, part := range parts {
					if err := m.WriteFragment([]byte(part), i == len(parts)-1); err != nil {
						t.Fatal(err)
					}
					if err := e.Ping(nil); err != nil {
						t.Fatal(err)
					}
				}
				want = append(want, strings.Join(parts, ""))
				if err := e.SendText(tick(9)); err != nil {
					t.Fatal(err)
				}
				want = append(want, tick(9))
			}
			m, _ := e.NextWriter(wire.Text) // as an io.Writer
			for range 1000 {
				if _, err := io.WriteString(m, tick(5)); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			want = append(want, strings.Repeat(tick(5), 1000))
			size := w.Len()
			texts, _ := sentMessages(t, role, w.Bytes(), &flatepeer.Inflater{Takeover: answer == takeover})
			if !slices.Equal(texts, want) || size > 60_000 {
				t.Errorf("%s: sent %.200q in %d bytes", answer, texts, size)
			}
		}
	})
}

// A writer can send its message uncompressed (T-B13).
func TestWritingAnUncompressedMessage(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, w := sending(t, role, takeover)
		m, _ := e.NextWriter(wire.Text)
		m.DisableCompression()
		if err := errors.Join(m.WriteFragment([]byte(tick(1)), false), m.WriteFragment([]byte(tick(1)), true)); err != nil {
			t.Fatal(err)
		}
		if texts, rsv1 := sentMessages(t, role, w.Bytes(), nil); !slices.Equal(texts, []string{tick(1) + tick(1)}) || rsv1[0] {
			t.Errorf("sent %q, compressed %v", texts, rsv1)
		}
	})
}

// A prepared message is compressed once, and all endpoints send the same bytes,
// whatever they have agreed and sent before. The messages behind it refer to
// the right text.
func TestPreparedMessagesAreCompressedOnce(t *testing.T) {
	m, err := endpoint.Prepare(wire.Text, []byte(strings.Repeat(tick(1), 3)))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := endpoint.PrepareUncompressed(wire.Text, []byte(tick(3)))
	if err != nil {
		t.Fatal(err)
	}
	var frame []byte
	for _, answer := range []string{takeover, noTakeover, "permessage-deflate; server_max_window_bits=8"} {
		for before := range 3 {
			e, w := sending(t, endpoint.Server, answer)
			var want []string
			for n := range before {
				want = append(want, tick(n))
				if err := e.SendText(tick(n)); err != nil {
					t.Fatal(err)
				}
			}
			start := w.Len()
			if err := e.SendPrepared(m); err != nil {
				t.Fatal(err)
			}
			if got := bytes.Clone(w.Bytes()[start:]); frame == nil {
				frame = got
			} else if !bytes.Equal(got, frame) {
				t.Errorf("%s: another form of the message: % x, % x", answer, got, frame)
			}
			if !e.TrySendPrepared(m) || e.SendText(tick(8)) != nil || e.SendPrepared(secret) != nil || e.SendText(tick(3)) != nil {
				t.Fatal(e.Err())
			}
			text := strings.Repeat(tick(1), 3)
			want = append(want, text, text, tick(8), tick(3), tick(3))
			texts, rsv1 := sentMessages(t, endpoint.Server, w.Bytes(), &flatepeer.Inflater{Takeover: answer != noTakeover})
			if !slices.Equal(texts, want) {
				t.Errorf("%s: sent %q", answer, texts)
			}
			if n := slices.Index(rsv1, false); n != len(want)-2 {
				t.Errorf("%s: compressed %v", answer, rsv1)
			}
		}
	}
	if len(frame) > m.Size()/2 {
		t.Errorf("%d bytes for %d", len(frame), m.Size())
	}
}

// A message of PrepareSingle is compressed when it is sent, and refers to those
// before it. One that is not sent has no effect.
func TestSinglePreparedMessages(t *testing.T) {
	e, w := sending(t, endpoint.Server, takeover)
	var c endpoint.Counters
	e.SetCounters(&c)
	var want []string
	for n := range 4 {
		m, err := endpoint.PrepareSingle(wire.Text, []byte(tick(n)))
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			continue // dropped
		}
		start := w.Len()
		want = append(want, tick(n), tick(n+10))
		if e.SendPrepared(m) != nil || e.SendText(tick(n+10)) != nil {
			t.Fatal(e.Err())
		}
		if size := w.Len() - start; n > 0 && size > len(tick(n)) {
			t.Errorf("messages %d and %d have %d bytes", n, n+10, size)
		}
	}
	texts, rsv1 := sentMessages(t, endpoint.Server, w.Bytes(), &flatepeer.Inflater{Takeover: true})
	if !slices.Equal(texts, want) || slices.Contains(rsv1, false) {
		t.Errorf("sent %q, compressed %v", texts, rsv1)
	}
	check.Equal(t, c.Sent.Load().Compressed, uint64(len(want)), "counted messages")
	check.Equal(t, c.Sent.Load().DecodedBytes, uint64(len(strings.Join(want, ""))), "counted bytes")
	if _, err := endpoint.PrepareSingle(wire.Ping, nil); !errors.Is(err, endpoint.ErrNotData) {
		t.Errorf("a Ping: %v", err)
	}
	noise := traffic.Random(rand.New(rand.NewPCG(1, 2)), 500)
	m, err := endpoint.PrepareSingle(wire.Binary, noise)
	start := w.Len()
	if err != nil || e.SendPrepared(m) != nil || w.Len()-start != m.Size() {
		t.Errorf("%d bytes for noise of %d, %v", w.Len()-start, len(noise), err)
	}
}

// Collected frames are compressed too, in order with those that are not
// collected.
func TestCollectingCompressedMessages(t *testing.T) {
	e, w := sending(t, endpoint.Server, takeover)
	k := endpoint.NewCork(256)
	m, _ := endpoint.Prepare(wire.Text, []byte(tick(3)))
	var want []string
	e.Cork(k)
	for n := range 50 {
		want = append(want, tick(n), strings.Repeat(tick(n), 200), tick(3))
		if e.SendText(tick(n)) != nil || e.SendText(strings.Repeat(tick(n), 200)) != nil || e.SendPrepared(m) != nil {
			t.Fatal(e.Err())
		}
	}
	e.Uncork()
	texts, rsv1 := sentMessages(t, endpoint.Server, w.Bytes(), &flatepeer.Inflater{Takeover: true})
	if !slices.Equal(texts, want) || slices.Contains(rsv1, false) {
		t.Errorf("sent %.200q, compressed %v", texts, rsv1)
	}
}

// Messages that wait for room in the middle of a frame stay in the order of
// their compression.
func TestCompressedMessagesUnderBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(0)
		e := endpoint.New(w, endpoint.Config{Role: endpoint.Server, Compression: agree(t, endpoint.Server, takeover)})
		e.SetBackpressure(w)
		var all sync.WaitGroup
		want := map[string]int{}
		for n := range 20 {
			want[tick(n)]++
			all.Go(func() {
				if err := e.SendText(tick(n)); err != nil {
					t.Error(err)
				}
			})
		}
		for range 1000 {
			synctest.Wait()
			w.grow(7, nil)
		}
		all.Wait()
		texts, _ := sentMessages(t, endpoint.Server, w.out.Bytes(), &flatepeer.Inflater{Takeover: true})
		for _, text := range texts {
			want[text]--
		}
		for text, n := range want {
			if n != 0 {
				t.Errorf("%q was sent %d times too few", text, n)
			}
		}
	})
}

// Goroutines that send at once do not mix their windows (T-H01).
func TestConcurrentCompressedMessages(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, w := sending(t, role, takeover)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					var err error
					switch (i + n) % 3 {
					case 0:
						err = e.SendText(tick(n))
					case 1:
						err = e.SendUncompressed(wire.Text, []byte(tick(n)))
					case 2:
						m, _ := e.NextWriter(wire.Text)
						err = errors.Join(m.WriteFragment([]byte(tick(n)[:50]), false), m.WriteFragment([]byte(tick(n)[50:]), true))
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		texts, _ := sentMessages(t, role, w.Bytes(), &flatepeer.Inflater{Takeover: true})
		count := map[string]int{}
		for _, text := range texts {
			count[text]++
		}
		for n := range 50 {
			if count[tick(n)] != 8 {
				t.Errorf("%q was sent %d times", tick(n), count[tick(n)])
			}
		}
	})
}

// After a failed write nothing is sent: the peer lacks a part of the window.
func TestNothingIsCompressedAfterAFailedWrite(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		broken := errors.New("broken")
		w := newGate()
		w.open(broken)
		e := endpoint.New(w, endpoint.Config{Role: role, Compression: agree(t, role, takeover)})
		for range 2 {
			if err := e.SendText(tick(1)); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		}
		if len(w.bytes()) != 0 {
			t.Errorf("sent % x", w.bytes())
		}
	})
}

// Compressed messages are counted with their bytes before and after, in either
// direction.
func TestCountersOfCompressedMessages(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		var sent, received endpoint.Counters
		a, w := sending(t, 1-role, takeover)
		a.SetCounters(&sent)
		b := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
		b.SetCounters(&received)
		m, _ := a.NextWriter(wire.Text)
		if err := errors.Join(a.SendText(tick(1)), a.SendUncompressed(wire.Text, []byte("plain")), m.WriteFragment([]byte(tick(2)), false), m.WriteFragment([]byte(tick(3)), true)); err != nil {
			t.Fatal(err)
		}
		for piece := range slices.Chunk(w.Bytes(), 7) {
			receive(b, piece)
		}
		got := sent.Sent.Load()
		encoded, decoded := got.EncodedBytes, uint64(len(tick(1)+tick(2)+tick(3)))
		want := endpoint.FrameCount{Messages: 3, Fragments: 2, Compressed: 2, Bytes: encoded + 5, EncodedBytes: encoded, DecodedBytes: decoded}
		if got != want || encoded == 0 || encoded > decoded*2/3 {
			t.Errorf("sent %+v, want %+v", got, want)
		}
		if got := received.Received.Load(); got != want {
			t.Errorf("received %+v, want %+v", got, want)
		}
	})
}

// Compression returns the negotiated extension.
func TestCompression(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, _ := sending(t, role, noTakeover)
		if got := e.Compression(); got != noTakeover {
			t.Errorf("the compression is %q", got)
		}
		var zero endpoint.Endpoint
		if got := zero.Compression() + endpoint.New(io.Discard, endpoint.Config{Role: role}).Compression(); got != "" {
			t.Errorf("without, it is %q", got)
		}
	})
}
