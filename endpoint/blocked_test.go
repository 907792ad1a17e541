package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// tight is a transport whose write buffer has the space of rooms, in turn, and
// enough after them.
type tight struct {
	rooms   []int
	failAt  int // the number of the write that fails, from 1; 0: none
	writes  [][]byte
	awaited []int // arguments of AwaitSpace
	written int   // calls of Written

	e          *endpoint.Endpoint // nil: incomplete is not counted
	incomplete int                // writes during which the frame is incomplete
}

var errTight = errors.New("the transport is broken")

func (n *tight) Write(p []byte) (int, error) {
	n.writes = append(n.writes, bytes.Clone(p))
	if n.e != nil && n.e.FrameIncomplete() {
		n.incomplete++
	}
	if len(n.writes) == n.failAt {
		return 0, errTight
	}
	return len(p), nil
}

func (n *tight) Space(size int) int {
	if len(n.rooms) == 0 {
		return size
	}
	room := n.rooms[0]
	n.rooms = n.rooms[1:]
	return min(room, size)
}

func (n *tight) AwaitSpace(size int) { n.awaited = append(n.awaited, size) }

func (n *tight) Written() { n.written++ }

// tightVector is tight as a VectorWriter.
type tightVector struct{ tight }

func (n *tightVector) Writev(head, payload []byte) error {
	_, err := n.Write(slices.Concat(head, payload))
	return err
}

// A frame that is written in parts is whole, and after a failed write there is
// no further one. The transport learns for how many bytes a sender waits.
func TestFrameInParts(t *testing.T) {
	const head, size = 10, 50_000
	payload := bytes.Repeat([]byte("0123456789"), size/10)
	for _, tt := range []struct {
		rooms   []int
		vector  []int // sizes of the writes
		plain   []int // through a buffer of 32 KiB
		awaited []int
	}{
		{nil, []int{4 + size}, []int{32 << 10, 4 + size - 32<<10}, nil},
		{[]int{1, 100, 0, 200}, []int{104, 200, size - 300}, []int{104, 200, size - 300}, []int{size - 100}},
		{[]int{0, 0, 1, 1, size - 2, 0, 0}, []int{5, size - 2, 1}, []int{5, size - 2, 1}, []int{head + size, head + size, 1, 1}},
		{[]int{1, 40_000, 9_000}, []int{40_004, 9_000, 1_000}, []int{32 << 10, 40_004 - 32<<10, 9_000, 1_000}, nil},
	} {
		for vectored, sizes := range map[bool][]int{true: tt.vector, false: tt.plain} {
			for failAt := range len(sizes) + 1 {
				t.Run(fmt.Sprint(tt.rooms, vectored, failAt), func(t *testing.T) {
					vector := &tightVector{tight{rooms: slices.Clone(tt.rooms), failAt: failAt}}
					n := &vector.tight
					e := endpoint.New(n, endpoint.Config{Role: endpoint.Server})
					if vectored {
						e = endpoint.New(vector, endpoint.Config{Role: endpoint.Server})
					}
					if e.HasBackpressure() || e.WriteBlocked() || e.FrameIncomplete() {
						t.Error("a new endpoint blocks")
					}
					if e.SetBackpressure(n); !e.HasBackpressure() || e.FrameIncomplete() {
						t.Error("it does not block, or a frame has begun")
					}
					n.e = e
					err := e.Send(wire.Binary, payload)
					incomplete, calls := len(n.writes), 1
					if tt.rooms == nil { // the writes are of one buffer that the frame exceeds
						incomplete, calls = 0, 0
					}
					if n.incomplete != incomplete || n.written != calls || e.FrameIncomplete() {
						t.Errorf("incomplete during %d of %d writes; %d calls of Written", n.incomplete, len(n.writes), n.written)
					}
					var got []int
					for _, p := range n.writes {
						got = append(got, len(p))
					}
					if failAt > 0 {
						if !errors.Is(err, errTight) || !slices.Equal(got, sizes[:failAt]) || e.WriteBlocked() {
							t.Errorf("returned %v after writes of %d, want %d", err, got, sizes[:failAt])
						}
						return
					}
					frames := written(t, endpoint.Server, bytes.Join(n.writes, nil))
					if err != nil || !slices.Equal(got, sizes) || len(frames) != 1 || !bytes.Equal(frames[0].Payload, payload) {
						t.Errorf("returned %v after writes of %d, want %d", err, got, sizes)
					}
					if !slices.Equal(n.awaited, tt.awaited) {
						t.Errorf("waited for %d, want %d", n.awaited, tt.awaited)
					}
				})
			}
		}
	}
}

// After the end nobody waits for room.
func TestNothingWaitsForRoomAfterAClose(t *testing.T) {
	n := &tight{rooms: make([]int, 100)}
	e := endpoint.New(n, endpoint.Config{Role: endpoint.Server})
	e.SetBackpressure(n)
	if err := e.Close(wire.NormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	if err := e.Send(wire.Binary, nil); err != endpoint.ErrClosed || len(n.awaited) > 0 {
		t.Errorf("returned %v after waiting for %d", err, n.awaited)
	}
}

// A Close that is queued behind a blocked frame follows it, also if it is the
// only frame.
func TestCloseAloneFollowsABlockedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := withRoom(100)
		sent := make(chan error, 1)
		go func() { sent <- e.Send(wire.Binary, make([]byte, 1000)) }()
		synctest.Wait()
		if err := e.Close(4000, ""); err != nil {
			t.Fatal(err)
		}
		w.grow(10, nil) // the sender looks, and is blocked again
		synctest.Wait()
		w.grow(10_000, nil)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if frames := w.frames(t); len(frames) != 2 || closeCode(frames[1]) != 4000 {
			t.Errorf("wrote %v", frames)
		}
	})
}

// A FlushControl beside a blocked frame returns, and a queued Close still
// follows the frame.
func TestFlushBesideABlockedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := withRoom(100)
		sent, flushed := make(chan error, 1), make(chan struct{})
		go func() { sent <- e.Send(wire.Binary, make([]byte, 1000)) }()
		synctest.Wait()
		check.Must(t, e.Close(4000, ""))
		w.during = func() {
			go func() { e.FlushControl(); close(flushed) }()
			synctest.Wait() // it waits for the holder of the lock
		}
		w.grow(10, nil) // a part of the frame
		<-flushed
		w.grow(10_000, nil)
		check.OK(t, <-sent)
		if frames := w.frames(t); len(frames) != 2 || closeCode(frames[1]) != 4000 {
			t.Errorf("wrote %v", frames)
		}
	})
}
