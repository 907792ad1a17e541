package endpoint_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// copyCodec is a Codec whose compressed form of a message is the message. It
// records its calls.
type copyCodec struct {
	threshold int
	times     int  // how often the Decompressor repeats each byte; 0: once
	refuses   bool // messages are better sent uncompressed
	invalid   byte // the byte that cannot be decompressed; 0: none

	shared int    // calls of AppendShared
	plain  string // bytes of AddPlain
	finals []bool // of the calls of Decompressor.Append
	most   int    // the largest limit of these calls
	noRoom bool   // one of these calls had a limit of 0 or less
	parked int    // calls of Decompressor.Park
}

func (c *copyCodec) NewCoder() endpoint.Coder {
	return &copyCoder{copyCompressor{c}, repeating{codec: c}}
}
func (c *copyCodec) Threshold() int { return c.threshold }
func (c *copyCodec) String() string { return "copy" }

func (c *copyCodec) AppendShared(dst, p []byte) ([]byte, bool) {
	c.shared++
	if c.refuses {
		return dst, false
	}
	return append(dst, p...), true
}

type copyCoder struct {
	copyCompressor
	repeating
}

type copyCompressor struct{ codec *copyCodec }

func (c copyCompressor) AppendMessage(dst, p []byte) ([]byte, bool) {
	if c.codec.refuses {
		return dst, false
	}
	return append(dst, p...), true
}
func (c copyCompressor) AppendFragment(dst, p []byte, final bool) []byte { return append(dst, p...) }
func (c copyCompressor) AddPlain(p []byte)                               { c.codec.plain += string(p) }

// repeating is a Decompressor that repeats each byte.
type repeating struct {
	codec   *copyCodec
	b       byte
	left    int // of b
	pending bool
}

func (d *repeating) Append(dst, src []byte, final bool, limit int) (out []byte, n int, err error) {
	d.codec.finals = append(d.codec.finals, final)
	d.codec.most = max(d.codec.most, limit)
	d.codec.noRoom = d.codec.noRoom || limit <= 0
	if d.codec.invalid != 0 && bytes.IndexByte(src, d.codec.invalid) >= 0 {
		return dst, 0, errInvalidByte
	}
	for {
		k := min(d.left, limit)
		dst = append(dst, bytes.Repeat([]byte{d.b}, k)...)
		d.left -= k
		limit -= k
		if limit == 0 || n == len(src) {
			break
		}
		d.b, d.left = src[n], max(d.codec.times, 1)
		n++
	}
	d.pending = d.left > 0 || n < len(src)
	return dst, n, nil
}

var errInvalidByte = errors.New("the byte is invalid")

func (d *repeating) Pending() bool { return d.pending }
func (d *repeating) Park()         { d.codec.parked++ }

// The output of a Decompressor that repeats each byte is complete and in order,
// in every split of the input, and however often a call reaches its limit.
func TestOutputLargerThanItsInput(t *testing.T) {
	const text = "abcdefghij"
	for _, times := range []int{1, 5_000, 32 << 10, 100_000} {
		var want strings.Builder
		for _, b := range text {
			want.WriteString(strings.Repeat(string(b), times))
		}
		eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
			in := slices.Concat(
				compressedFrame(role, wire.Text, text[:4], false), whole(role, wire.Ping, ""),
				fromPeer(role, wire.Continuation, text[4:], true), whole(role, wire.Ping, ""))
			for _, size := range []int{1, 3, len(in)} {
				codec := &copyCodec{times: times}
				e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: endpoint.NewCompression(codec)})
				var events []event
				for piece := range slices.Chunk(in, size) {
					events = append(events, receive(e, piece)...)
				}
				got := messages(t, slices.DeleteFunc(events, func(ev event) bool { return ev.Kind == endpoint.KindPing }))
				if !slices.Equal(got, []string{want.String()}) {
					t.Errorf("%d times, in pieces of %d: got %d messages, %v", times, size, len(got), e.Err())
				}
				if pings := slices.DeleteFunc(events, func(ev event) bool { return ev.Kind != endpoint.KindPing }); len(pings) > 2 {
					t.Errorf("%d Pings", len(pings))
				}
				if last := slices.Index(codec.finals, true); last < 0 || slices.Contains(codec.finals[last:], false) {
					t.Errorf("the last part is marked in the calls %v", codec.finals)
				}
				if partial && codec.most > 32<<10 {
					t.Errorf("a piece may have %d bytes", codec.most)
				}
			}
		})
	}
}

// A Decompressor is parked when an input ends inside of its message, and only
// then.
func TestDecompressorIsParked(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		codec := new(copyCodec)
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: endpoint.NewCompression(codec)})
		first, last := compressedFrame(role, wire.Text, "ab", false), fromPeer(role, wire.Continuation, "cd", true)
		for i, step := range []struct {
			in     []byte
			parked int
		}{
			{compressedFrame(role, wire.Text, "abcd", true), 0},
			{whole(role, wire.Text, "plain"), 0},
			{first, 1},
			{last, 1},
			{whole(role, wire.Ping, ""), 1},
			{first[:len(first)-1], 2},
			{first[len(first)-1:], 3},
			{last[:len(last)-1], 4},
			{last[len(last)-1:], 4},
		} {
			receive(e, step.in)
			check.Equal(t, codec.parked, step.parked, "step %d: parked", i)
		}
	})
}

// The decompressed bytes count for the rate, to the last one.
func TestBorderOfTheRateOfDecompressedBytes(t *testing.T) {
	const times, length = 1000, 10
	for _, limit := range []int64{times * length, times*length - 1} {
		eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial,
				Limits:      endpoint.Limits{BytesPerSecond: limit},
				Compression: endpoint.NewCompression(&copyCodec{times: times})})
			now := time.Now()
			receiveAt(e, now, compressedFrame(role, wire.Text, strings.Repeat("a", length), true))
			if (e.Err() == nil) != (limit == times*length) {
				t.Errorf("%d bytes with a limit of %d: %v", times*length, limit, e.Err())
			}
		})
	}
}

// A prepared message is compressed with the first use, and never again. It
// counts as compressed, and a Compressor that exists notes it.
func TestPreparedMessageOfACodec(t *testing.T) {
	const text = "prepared"
	codec := new(copyCodec)
	m, err := endpoint.Prepare(wire.Text, []byte(text))
	check.Must(t, err)
	for _, before := range []int{0, 1} {
		e, out := recorded(endpoint.Config{Role: endpoint.Server, Compression: endpoint.NewCompression(codec)})
		var counters endpoint.Counters
		e.SetCounters(&counters)
		fragments, err := e.NextWriter(wire.Text) // allocates the rare fields, without a Compressor
		check.Must(t, err)
		fragments.DisableCompression()
		check.Must(t, errors.Join(fragments.WriteFragment(nil, false), fragments.WriteFragment(nil, true)))
		for range before {
			check.Must(t, e.SendText("Hello"))
		}
		check.Must(t, e.SendPrepared(m))
		check.Equal(t, codec.plain, strings.Repeat(text, before), "noted")
		got := counters.Sent.Load()
		want := endpoint.FrameCount{Messages: uint64(2 + before), Bytes: uint64(len(text) + 5*before), Fragments: 2, Compressed: uint64(1 + before),
			EncodedBytes: uint64(len(text) + 5*before), DecodedBytes: uint64(len(text) + 5*before)}
		check.Equal(t, got, want, "counted")
		if frames := written(t, endpoint.Server, out.Bytes()); frames[len(frames)-1].RSV != wire.RSV1 {
			t.Errorf("sent %v", frames)
		}
	}
	check.Equal(t, codec.shared, 1, "calls of AppendShared")
}

// A message that the Codec refuses is sent as it is, also if it is prepared.
func TestCodecThatRefuses(t *testing.T) {
	codec := &copyCodec{refuses: true}
	e, out := recorded(endpoint.Config{Role: endpoint.Server, Compression: endpoint.NewCompression(codec)})
	var counters endpoint.Counters
	e.SetCounters(&counters)
	m, err := endpoint.Prepare(wire.Text, []byte("prepared"))
	check.Must(t, err)
	check.Must(t, errors.Join(e.SendPrepared(m), e.SendPrepared(m), e.SendText("Hello")))
	check.Equal(t, codec.shared, 1, "calls of AppendShared")
	for _, f := range written(t, endpoint.Server, out.Bytes()) {
		if f.RSV != 0 {
			t.Errorf("sent %v", f)
		}
	}
	check.Equal(t, counters.Sent.Load(), endpoint.FrameCount{Messages: 3, Bytes: 21}, "counted")
}

// A fragment is compressed in parts of 64 KiB. The message counts once, with
// all of its bytes.
func TestPartsOfACompressedFragment(t *testing.T) {
	const part = 64 << 10
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, tt := range []struct {
			size int
			want []int // sizes of the frames
		}{
			{0, []int{0}},
			{part - 1, []int{part - 1}},
			{part, []int{part}},
			{part + 1, []int{part, 1}},
			{3 * part, []int{part, part, part}},
		} {
			e, out := recorded(endpoint.Config{Role: role, Compression: endpoint.NewCompression(new(copyCodec))})
			var counters endpoint.Counters
			e.SetCounters(&counters)
			m, err := e.NextWriter(wire.Binary)
			check.Must(t, err)
			p := make([]byte, tt.size)
			check.Must(t, errors.Join(m.WriteFragment(p, false), m.WriteFragment(p, false), m.WriteFragment(p, true)))
			var sizes []int
			for i, f := range written(t, role, out.Bytes()) {
				sizes = append(sizes, len(f.Payload))
				if (f.RSV == wire.RSV1) != (i == 0) || (f.Opcode == wire.Binary) != (i == 0) || f.Fin != (i == 3*len(tt.want)-1) {
					t.Errorf("frame %d is %v", i, f.Header)
				}
			}
			check.Slices(t, sizes, slices.Repeat(tt.want, 3), "fragments of %d bytes: frames", tt.size)
			total := uint64(3 * tt.size)
			fragments := uint64(3 * len(tt.want))
			want := endpoint.FrameCount{Messages: 1, Bytes: total, Fragments: fragments, Compressed: 1, EncodedBytes: total, DecodedBytes: total}
			check.Equal(t, counters.Sent.Load(), want, "counted")
		}
	})
}

// With pieces, a Decompressor is asked for no more than the 32 KiB of a piece,
// less the output that the piece has already. Of a message that exceeds
// Limits.Message it is asked for one byte more than the limit.
func TestLimitsOfADecompressor(t *testing.T) {
	const piece = 32 << 10
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		for _, tt := range []struct {
			size, times int
			ok          bool
		}{
			{2 * piece / 4, 4, true},
			{2*piece/4 + 1, 4, false},
			{10, 100_000, false},
			{30 << 10, 4, false},
		} {
			codec := &copyCodec{times: tt.times}
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: 2 * piece}, Compression: endpoint.NewCompression(codec)})
			var sizes []int
			in := compressedFrame(role, wire.Binary, strings.Repeat("a", tt.size), true)
			half := len(in) / 2
			for _, ev := range append(receive(e, in[:half]), receive(e, in[half:])...) {
				if ev.Kind != endpoint.KindFailed {
					sizes = append(sizes, len(ev.Payload))
				}
			}
			if partial && (codec.most > piece || len(sizes) > 0 && slices.Max(sizes) > piece) {
				t.Errorf("%+v: pieces of %d bytes, a call may have %d", tt, sizes, codec.most)
			}
			if tt.ok {
				check.Must(t, e.Err())
				continue
			}
			if codec.noRoom {
				t.Errorf("%+v: a call may have no byte", tt)
			}
			var limit *endpoint.LimitError
			if !errors.As(e.Err(), &limit) || limit.Seen != 2*piece+1 {
				t.Errorf("%+v: %v", tt, e.Err())
			}
		}
	})
}

// A message that exceeds the limit before an invalid byte fails with the limit.
// The input is decompressed in steps, and the step ends with the excess.
func TestLimitBeforeAnInvalidByte(t *testing.T) {
	const step = 4 << 10
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true, Limits: endpoint.Limits{Message: step - 1},
			Compression: endpoint.NewCompression(&copyCodec{invalid: 'X'})})
		limit := limitError(t, receive(e, compressedFrame(role, wire.Binary, strings.Repeat("a", step)+"X", true)))
		check.Equal(t, limit.Seen, step, "seen")
	})
}

// A message of the threshold's size is compressed, and each message whose first
// fragment is not the last: its size is not known.
func TestThreshold(t *testing.T) {
	const threshold = 10
	fragment := func(size int, final bool) func(e *endpoint.Endpoint) error {
		return func(e *endpoint.Endpoint) error {
			m, err := e.NextWriter(wire.Binary)
			check.Must(t, err)
			return m.WriteFragment(make([]byte, size), final)
		}
	}
	whole := func(size int) func(e *endpoint.Endpoint) error {
		return func(e *endpoint.Endpoint) error { return e.Send(wire.Binary, make([]byte, size)) }
	}
	prepared := func(size int) func(e *endpoint.Endpoint) error {
		return func(e *endpoint.Endpoint) error {
			m, err := endpoint.Prepare(wire.Binary, make([]byte, size))
			check.Must(t, err)
			return e.SendPrepared(m)
		}
	}
	for _, tt := range []struct {
		name string
		send func(e *endpoint.Endpoint) error
		want bool
	}{
		{"Send, below", whole(threshold - 1), false},
		{"Send", whole(threshold), true},
		{"SendPrepared, below", prepared(threshold - 1), false},
		{"SendPrepared", prepared(threshold), true},
		{"WriteFragment, below", fragment(threshold-1, true), false},
		{"WriteFragment", fragment(threshold, true), true},
		{"WriteFragment, more to come", fragment(0, false), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, out := recorded(endpoint.Config{Role: endpoint.Server, Compression: endpoint.NewCompression(&copyCodec{threshold: threshold})})
			check.Must(t, tt.send(e))
			if frames := written(t, endpoint.Server, out.Bytes()); len(frames) != 1 || (frames[0].RSV == wire.RSV1) != tt.want {
				t.Errorf("sent %v", frames)
			}
		})
	}
	for _, none := range []int{0, -1} {
		e, out := recorded(endpoint.Config{Role: endpoint.Server, Compression: endpoint.NewCompression(&copyCodec{threshold: none})})
		check.Must(t, e.SendText(""))
		if frames := written(t, endpoint.Server, out.Bytes()); len(frames) != 1 || frames[0].RSV != wire.RSV1 {
			t.Errorf("with the threshold %d: sent %v", none, frames)
		}
	}
	if m, err := endpoint.PrepareUncompressed(wire.Text, []byte("\xff")); err != wire.ErrInvalidUTF8 || m != nil {
		t.Errorf("%v, %v", m, err)
	}
}

// A message that arrives whole, and is no larger than a piece, is returned
// whole, however many steps its decompression takes.
func TestSmallMessageIsNoPiece(t *testing.T) {
	for _, size := range []int{4<<10 - 1, 4 << 10, 4<<10 + 1, 32<<10 - 1} {
		eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: endpoint.NewCompression(new(copyCodec))})
			text := strings.Repeat("a", size)
			want := []event{{Kind: endpoint.KindMessage, Opcode: wire.Text, Payload: text}}
			if got := receive(e, compressedFrame(role, wire.Text, text, true)); !slices.Equal(got, want) {
				t.Errorf("%d bytes: %d events", size, len(got))
			}
		})
	}
}

// Of a message that is larger on the wire than decompressed, the bytes on the
// wire count for the rate.
func TestRateOfBytesThatDecompressToLess(t *testing.T) {
	const payload = "f248050000 00ffffcac9c90700" // "Hello", in two blocks and an empty one
	for _, limit := range []int64{17, 18} {
		eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{BytesPerSecond: limit}, Compression: agree(t, role, takeover)})
			receiveAt(e, time.Now(), append(whole(role, wire.Text, "plain"), compressedFrame(role, wire.Text, fromHex(t, payload), true)...))
			if (e.Err() == nil) != (limit == 18) {
				t.Errorf("5 and 13 bytes with a limit of %d: %v", limit, e.Err())
			}
		})
	}
}

// An endpoint that waits for the rest of a compressed message owns no buffer for
// pieces.
func TestWaitingForPiecesOwnsNoBuffer(t *testing.T) {
	const connections, most = 200, 4 << 10
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		codec := new(copyCodec)
		compression := endpoint.NewCompression(codec)
		in := compressedFrame(role, wire.Binary, "abcd", false)
		ends := make([]*endpoint.Endpoint, connections)
		before := heap()
		for i := range ends {
			ends[i] = endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true, Compression: compression})
			if events := receive(ends[i], in); len(events) != 1 || events[0].Payload != "abcd" {
				t.Fatalf("got %+v", events)
			}
		}
		if growth := heap() - before; growth > connections*most {
			t.Errorf("%d bytes for each connection", growth/connections)
		}
		runtime.KeepAlive(ends)
	})
}

// SetLimits does not apply to a compressed frame whose header has arrived. It
// applies to the next frame of the message, also if the output so far exceeds
// the new limit. A Decompressor always has room for a byte.
func TestSetLimitsInACompressedMessage(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		codec := &copyCodec{times: 10}
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: 100}, Compression: endpoint.NewCompression(codec)})
		in := compressedFrame(role, wire.Text, "abcdefgh", false)
		events := receive(e, in[:len(in)-4])
		e.SetLimits(endpoint.Limits{Message: 30})
		events = append(events, receive(e, in[len(in)-4:])...)
		for _, ev := range events {
			if ev.Kind != endpoint.KindPartial || ev.Err != nil {
				t.Fatalf("in the frame: got %+v", ev)
			}
		}
		limit := limitError(t, receive(e, fromPeer(role, wire.Continuation, "x", true)))
		if limit.Limit != "decompressed message" || limit.Max != 30 || limit.Seen != 81 {
			t.Errorf("%+v", limit)
		}
		if codec.noRoom {
			t.Error("the Decompressor had no room")
		}
	})
}

// A message that is sent and one that is received at the same time share a
// Coder. A control frame that is queued meanwhile does not cost another one.
func TestCoderOfBothDirectionsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		meanwhile string
		during    func(t *testing.T, e *endpoint.Endpoint)
		coders    int // calls of NewCoder
	}{
		{"pause", func(*testing.T, *endpoint.Endpoint) {}, 1},
		{"Ping", func(t *testing.T, e *endpoint.Endpoint) { e.PingAsync([]byte("p")) }, 1},
		{"message", func(t *testing.T, e *endpoint.Endpoint) {
			ev, _ := e.Receive(time.Time{}, compressedFrame(endpoint.Server, wire.Text, "in", true))
			check.Equal(t, string(ev.Payload), "in", "the message")
		}, 2},
	} {
		codec := &slowCodec{copyCodec: &copyCodec{}}
		e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server, Compression: endpoint.NewCompression(codec)})
		codec.during = func() { tt.during(t, e) }
		for range 2 {
			check.OK(t, e.Send(wire.Text, []byte("out")))
		}
		if len(codec.coders) != tt.coders {
			t.Errorf("%s: %d Coders, want %d", tt.meanwhile, len(codec.coders), tt.coders)
		}
		check.Equal(t, codec.coders[0].sent, 2, "messages sent by the first Coder, during a %s", tt.meanwhile)
	}
}

// slowCodec calls during in the first call of NewCoder.
type slowCodec struct {
	*copyCodec
	during func()
	coders []*countingCoder // in the order of the returns of NewCoder
}

func (c *slowCodec) NewCoder() endpoint.Coder {
	if during := c.during; during != nil {
		c.during = nil
		during()
	}
	coder := &countingCoder{Coder: c.copyCodec.NewCoder()}
	c.coders = append(c.coders, coder)
	return coder
}

// countingCoder counts the messages that it compresses.
type countingCoder struct {
	endpoint.Coder
	sent int
}

func (c *countingCoder) AppendMessage(dst, p []byte) ([]byte, bool) {
	c.sent++
	return c.Coder.AppendMessage(dst, p)
}
