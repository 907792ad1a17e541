package fuzz

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/fibersock/fibersock/wire"
)

// This file is a simple receiver of RFC 6455: it has the whole stream of the
// peer, parses every header again with every byte, keeps all bytes, and shares
// no code with the engine.

// transcript is the result of a stream, for all cuts.
type transcript struct {
	events []event
	out    []string // frames that are sent: "pong …", "close …" without the reason
	end    string   // how the connection ended when the transport did
}

// event is an event for the application.
type event struct {
	what string // "message …", "ping …", "pong …", "closed with …" or "failed with …"
	at   int    // how many bytes of the stream decide it
}

// messageEvent returns the event of a message. A long message is represented by
// its beginning, length and hash, because quoting all of it takes most of the
// time.
func messageEvent(op wire.Opcode, payload []byte) string {
	const shown = 256
	if len(payload) <= shown {
		return fmt.Sprintf("message %v %q", op, payload)
	}
	return fmt.Sprintf("message %v %q… of %d bytes, hash %x", op, payload[:shown], len(payload), maphash.Bytes(hashSeed, payload))
}

var hashSeed = maphash.MakeSeed()

func (e event) String() string { return fmt.Sprintf("%s at %d", e.what, e.at) }

// header has the fields of the available bytes of a frame header.
type header struct {
	fields wire.Header // of the available bytes
	size   int         // 0: not all are there
	broken bool        // they break a rule of Section 5.2 or 5.5 on their own
}

// readHeader reads a header of which b may hold only a part.
func readHeader(b []byte) (h header) {
	f := &h.fields
	if len(b) < 1 {
		return h
	}
	f.Fin, f.RSV, f.Opcode = b[0]&0x80 != 0, wire.RSV(b[0]&0x70), wire.Opcode(b[0]&0x0f)
	control := f.Opcode >= 8
	if f.Opcode >= 3 && f.Opcode <= 7 || f.Opcode >= 11 || control && !f.Fin {
		h.broken = true
	}
	if len(b) < 2 || h.broken {
		return h
	}
	f.Masked = b[1]&0x80 != 0
	short := b[1] & 0x7f
	if control && short > 125 {
		h.broken = true
		return h
	}
	size, wide := 2, 0
	switch short {
	case 126:
		wide = 2
	case 127:
		wide = 8
	}
	extended := b[2:min(len(b), 2+wide)]
	switch {
	case wide == 8 && len(extended) > 0 && extended[0] > 0x7f:
		h.broken = true // the most significant bit must be 0
	case wide == 8 && len(extended) >= 6 && slices.Max(extended[:6]) == 0, wide == 2 && len(extended) == 2 && extended[0] == 0 && extended[1] < 126:
		h.broken = true // the minimal number of bytes must be used
	}
	if h.broken && wide == 8 || len(extended) < wide {
		return h
	}
	size += wide
	if wide == 0 {
		f.Length = int64(short)
	}
	for _, c := range extended {
		f.Length = f.Length<<8 | int64(c)
	}
	if h.broken {
		return h
	}
	if f.Masked {
		if len(b) < size+4 {
			return h
		}
		f.Key = wire.NewMaskingKey([4]byte(b[size:]))
		size += 4
	}
	h.size = size
	return h
}

// limits are the limits of a naive receiver, in payload bytes.
type limits struct{ frame, message int64 }

// A fragment is charged with overhead bytes, against the limit of a message and
// an allowance on top.
const (
	fragmentOverhead  = 16
	fragmentAllowance = 1 << 20
)

// naive is the receiver.
type naive struct {
	server bool // the role
	limits limits
	transcript

	opcode    wire.Opcode // of the message under way; Continuation if there is none
	message   []byte      // its payload so far
	fragments int64       // frames of it
}

// run reads a stream and then the end of the transport.
func (n *naive) run(stream []byte) transcript {
	pos := 0
	for n.end == "" && pos < len(stream) {
		pos = n.frame(stream, pos)
	}
	switch {
	case n.end != "":
	case n.opcode != wire.Continuation:
		n.end = "lost: unexpected EOF"
	default:
		n.end = "lost: EOF"
	}
	return n.transcript
}

// frame reads the frame at pos, as far as it is available, and returns its end.
func (n *naive) frame(stream []byte, pos int) int {
	var h header
	end := pos // of the header
	for h.size == 0 {
		if end == len(stream) {
			n.end = "lost: unexpected EOF"
			return end
		}
		end++
		h = readHeader(stream[pos:end])
		code := 1002
		if !h.broken {
			code = n.judge(h.fields, end-pos)
		}
		if code != 0 {
			n.fail(code, end)
			return end
		}
	}
	length := min(h.fields.Length, int64(len(stream)-end))
	payload := append([]byte(nil), stream[end:end+int(length)]...)
	if h.fields.Masked {
		maskByRFC(payload, h.fields.Key.Bytes())
	}
	whole := length == h.fields.Length
	switch {
	case h.fields.Opcode < 8:
		n.data(h.fields, payload, end, whole)
	case whole:
		n.control(h.fields.Opcode, payload, end+len(payload))
	}
	if !whole && n.end == "" {
		n.end = "lost: unexpected EOF"
	}
	return end + len(payload)
}

// judge returns the status code for a header that is invalid in this state, 0
// for a valid one. have is the number of available bytes.
func (n *naive) judge(h wire.Header, have int) int {
	inMessage := n.opcode != wire.Continuation
	size := int64(len(n.message))
	switch {
	case h.RSV != 0,
		h.Opcode == wire.Continuation && !inMessage,
		h.Opcode.IsData() && inMessage,
		have >= 2 && h.Masked != n.server:
		return 1002
	case have < 2 || h.Opcode >= 8:
		return 0
	case h.Length > n.limits.frame, h.Length > n.limits.message-size:
		return 1009
	case n.fragments*fragmentOverhead-fragmentAllowance > n.limits.message-size:
		return 1008
	}
	return 0
}

// data reads a data frame, as far as it is available. Its payload begins at
// start.
func (n *naive) data(h wire.Header, payload []byte, start int, whole bool) {
	if h.Opcode != wire.Continuation {
		n.opcode = h.Opcode
	}
	before := len(n.message)
	n.message = append(n.message, payload...)
	n.fragments++
	last := h.Fin && whole
	if n.opcode == wire.Text {
		bad, complete := decodeUTF8(n.message)
		switch {
		case bad >= 0:
			n.fail(1007, start+bad-before+1)
			return
		case last && !complete:
			n.fail(1007, start+len(payload))
			return
		}
	}
	if last {
		n.tell(start+len(payload), "%s", messageEvent(n.opcode, n.message))
		n.opcode, n.message, n.fragments = wire.Continuation, nil, 0
	}
}

func (n *naive) control(opcode wire.Opcode, payload []byte, at int) {
	switch opcode {
	case wire.Ping:
		n.tell(at, "ping %q", payload)
		n.out = append(n.out, fmt.Sprintf("pong %q", payload))
	case wire.Pong:
		n.tell(at, "pong %q", payload)
	case wire.Close:
		code, err := readClose(payload)
		switch err {
		case nil:
		case wire.ErrInvalidUTF8:
			n.fail(1007, at)
			return
		default:
			n.fail(1002, at)
			return
		}
		reason := payload[min(2, len(payload)):]
		n.end = fmt.Sprintf("closed with %d %q", code, reason)
		n.tell(at, "%s", n.end)
		n.out = append(n.out, fmt.Sprintf("close %d", code))
	}
}

// fail fails the connection.
func (n *naive) fail(code, at int) {
	n.end = fmt.Sprintf("failed with %d", code)
	n.tell(at, "%s", n.end)
	n.out = append(n.out, fmt.Sprintf("close %d", code))
}

func (n *naive) tell(at int, format string, args ...any) {
	n.events = append(n.events, event{fmt.Sprintf(format, args...), at})
}

// none is a limit that nothing reaches.
const none = math.MaxInt64
