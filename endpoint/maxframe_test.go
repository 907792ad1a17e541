package endpoint_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Some peers accept frames of at most 32 or 64 KiB
// (TooTallNate/Java-WebSocket#1466, websockets/ws#1903). Every call sends a
// longer message in fragments that fit, and a shorter one in one frame
// (6455-5.4-f).
func TestMessagesAreFragmentedByMaxOutgoingFrame(t *testing.T) {
	const limit = 1000
	text := strings.Repeat("é", 1250) // a limit lies inside a code point
	sends := map[string]func(e *endpoint.Endpoint, p string) error{
		"Send":     func(e *endpoint.Endpoint, p string) error { return e.Send(wire.Text, []byte(p)) },
		"SendText": func(e *endpoint.Endpoint, p string) error { return e.SendText(p) },
		"MessageWriter": func(e *endpoint.Endpoint, p string) error {
			m, err := e.NextWriter(wire.Text)
			if err != nil {
				return err
			}
			return m.WriteFragment([]byte(p), true)
		},
		"SendPrepared": func(e *endpoint.Endpoint, p string) error {
			m, err := endpoint.Prepare(wire.Text, []byte(p))
			if err != nil {
				return err
			}
			return e.SendPrepared(m)
		},
		"TrySendPrepared": func(e *endpoint.Endpoint, p string) error {
			m, err := endpoint.Prepare(wire.Text, []byte(p))
			if err == nil && !e.TrySendPrepared(m) {
				err = fmt.Errorf("not sent")
			}
			return err
		},
	}
	for name, send := range sends {
		for _, role := range []endpoint.Role{endpoint.Client, endpoint.Server} {
			if role == endpoint.Client && strings.Contains(name, "Prepared") {
				continue // a client has no prepared messages
			}
			for _, size := range []int{0, limit, limit + 2, 2 * limit, 2*limit + 2} {
				p := text[:size]
				e, out := recorded(endpoint.Config{Role: role, MaxOutgoingFrame: limit})
				check.Must(t, send(e, p))
				if got, sizes := reassemble(t, role, out.Bytes()); got != p || len(sizes) != max(1, (size+limit-1)/limit) {
					t.Errorf("%s, role %v, %d bytes: frames of %v bytes", name, role, size, sizes)
				}
			}
		}
	}
}

// reassemble returns the message that the frames hold, and the sizes of the
// frames.
func reassemble(t *testing.T, role endpoint.Role, out []byte) (text string, sizes []int) {
	t.Helper()
	frames := written(t, role, out)
	for i, f := range frames {
		if (f.Opcode == wire.Text) != (i == 0) || f.Fin != (i == len(frames)-1) {
			t.Errorf("frame %d: %v, FIN %v", i, f.Opcode, f.Fin)
		}
		text += string(f.Payload)
		sizes = append(sizes, len(f.Payload))
	}
	return text, sizes
}

// Without a limit of the frame size, the default, no message is fragmented.
func TestNoMaxOutgoingFrame(t *testing.T) {
	for _, limit := range []int{0, -1} {
		e, out := recorded(endpoint.Config{Role: endpoint.Client, MaxOutgoingFrame: limit})
		check.Must(t, e.Send(wire.Text, bytes.Repeat([]byte("x"), 200<<10)))
		if _, sizes := reassemble(t, endpoint.Client, out.Bytes()); len(sizes) != 1 {
			t.Errorf("limit %d: %v", limit, sizes)
		}
	}
}

// A corked server observes the limit too.
func TestMaxOutgoingFrameWhileCorked(t *testing.T) {
	w := new(gathering)
	e := endpoint.New(w, endpoint.Config{Role: endpoint.Server, MaxOutgoingFrame: 100})
	e.Cork(endpoint.NewCork(4 << 10))
	check.Must(t, e.Send(wire.Text, bytes.Repeat([]byte("x"), 250)))
	e.Uncork()
	if _, sizes := reassemble(t, endpoint.Server, w.out.Bytes()); len(sizes) != 3 {
		t.Errorf("frames of %v bytes", sizes)
	}
}

// No other message gets between the fragments of one, also if they wait for
// room (6455-5.4-h). Control frames do.
func TestFragmentsThatWaitForRoomStayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(0)
		e := endpoint.New(w, endpoint.Config{Role: endpoint.Server, MaxOutgoingFrame: 100})
		e.SetBackpressure(w)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				check.OK(t, e.Send(wire.Binary, make([]byte, 350)))
			})
		}
		for i := range 200 {
			synctest.Wait()
			if i == 10 {
				all.Go(func() {
					check.OK(t, e.Ping(nil))
				})
			}
			w.grow(7, nil)
		}
		all.Wait()
		var kinds strings.Builder
		for _, f := range w.frames(t) {
			if f.Opcode == wire.Ping {
				kinds.WriteString("p")
			} else {
				fmt.Fprintf(&kinds, "%d", len(f.Payload)/10)
			}
		}
		if got, want := strings.ReplaceAll(kinds.String(), "p", ""), strings.Repeat("1010105", 3); got != want || strings.HasSuffix(kinds.String(), "p") {
			t.Errorf("frames %s, want %s with a Ping among them", kinds.String(), want)
		}
	})
}

// The smallest frame has one byte.
func TestMaxOutgoingFrameOfOneByte(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e, out := recorded(endpoint.Config{Role: role, MaxOutgoingFrame: 1})
		check.Must(t, e.SendText("four"))
		if text, sizes := reassemble(t, role, out.Bytes()); text != "four" || len(sizes) != 4 {
			t.Errorf("%q in frames of %v bytes", text, sizes)
		}
	})
}
