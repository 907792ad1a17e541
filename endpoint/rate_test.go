package endpoint_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// The peer may send the rate's number of messages in a second, also at once.
// The first that exceeds it fails the connection with 1008. Frames of other
// kinds do not count (T-A12, T-C01, T-C03).
func TestRates(t *testing.T) {
	limits := map[string]endpoint.Limits{
		"Limits.MessagesPerSecond": {MessagesPerSecond: 10},
		"Limits.BytesPerSecond":    {BytesPerSecond: 50},
		"Limits.ControlsPerSecond": {ControlsPerSecond: 10},
	}
	floods := []struct {
		name    string
		frames  func(role endpoint.Role) []byte
		limited string
	}{
		{"messages", func(role endpoint.Role) []byte { return whole(role, wire.Text, "Hello") }, "Limits.MessagesPerSecond Limits.BytesPerSecond"},
		{"empty messages", func(role endpoint.Role) []byte { return whole(role, wire.Binary, "") }, "Limits.MessagesPerSecond"},
		{"Pings", func(role endpoint.Role) []byte { return whole(role, wire.Ping, "Hello") }, "Limits.ControlsPerSecond Limits.BytesPerSecond"},
		{"Pongs", func(role endpoint.Role) []byte { return whole(role, wire.Pong, "") }, "Limits.ControlsPerSecond"},
		{"messages in fragments", func(role endpoint.Role) []byte {
			return append(fromPeer(role, wire.Text, "Hel", false), fromPeer(role, wire.Continuation, "lo", true)...)
		}, "Limits.MessagesPerSecond Limits.BytesPerSecond"},
	}
	for _, flood := range floods {
		for option, limit := range limits {
			subtestRoles(t, flood.name+" with "+option, func(t *testing.T, role endpoint.Role) {
				testRate(t, role, limit, option, flood.frames(role), strings.Contains(flood.limited, option))
			})
		}
	}
}

func testRate(t *testing.T, role endpoint.Role, limits endpoint.Limits, option string, frames []byte, limited bool) {
	e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: limits})
	if !e.NeedsTime() {
		t.Error("a rate limit needs no time")
	}
	now := time.Now()
	for range 10 { // at once
		receiveAt(e, now, frames)
	}
	for range 100 { // one after the other
		now = now.Add(100 * time.Millisecond)
		receiveAt(e, now, frames)
	}
	check.Must(t, e.Err())
	events := receiveAt(e, now, frames)
	if !limited {
		if e.Err() != nil {
			t.Error(e.Err())
		}
		return
	}
	limit := limitError(t, events[len(events)-1:])
	var failed *endpoint.FailError
	if !errors.As(e.Err(), &failed) || failed.Code != wire.PolicyViolation || limit.Option != option {
		t.Errorf("%v", e.Err())
	}
	unit := map[string]string{"Limits.MessagesPerSecond": "messages", "Limits.BytesPerSecond": "bytes", "Limits.ControlsPerSecond": "control frames"}[option]
	if text := fmt.Sprintf("%d %s per second exceeds %s (%d)", limit.Max+1, unit, option, limit.Max); !strings.Contains(e.Err().Error(), text) {
		t.Errorf("%v", e.Err())
	}
}

// A Close is no control frame that a limit counts.
func TestCloseIsNotLimited(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: endpoint.Limits{ControlsPerSecond: 1}})
		now := time.Now()
		receiveAt(e, now, whole(role, wire.Ping, ""))
		receiveAt(e, now, closeFromPeer(role, wire.NormalClosure, ""))
		if e.CloseCode() != wire.NormalClosure {
			t.Error(e.Err())
		}
	})
}

// A long silence gives the peer no more than one second's rate.
func TestSilenceEarnsNoRate(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: endpoint.Limits{MessagesPerSecond: 10}})
		now := time.Now()
		receiveAt(e, now, whole(role, wire.Text, ""))
		now = now.Add(time.Hour)
		for range 10 {
			receiveAt(e, now, whole(role, wire.Text, ""))
		}
		if e.Err() != nil {
			t.Fatal(e.Err())
		}
		limitError(t, receiveAt(e, now, whole(role, wire.Text, "")))
	})
}

// A rate of 1 is a limit too.
func TestRateOfOne(t *testing.T) {
	for option, limits := range map[string]endpoint.Limits{
		"Limits.MessagesPerSecond": {MessagesPerSecond: 1},
		"Limits.BytesPerSecond":    {BytesPerSecond: 1},
		"Limits.ControlsPerSecond": {ControlsPerSecond: 1},
	} {
		subtestRoles(t, option, func(t *testing.T, role endpoint.Role) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: limits})
			in := whole(role, wire.Text, "1")
			if option == "Limits.ControlsPerSecond" {
				in = whole(role, wire.Pong, "")
			}
			now := time.Now()
			for range 3 {
				receiveAt(e, now, in)
				now = now.Add(time.Second)
			}
			check.Must(t, e.Err())
			now = now.Add(-time.Nanosecond)
			if limit := limitError(t, receiveAt(e, now, in)); limit.Option != option || limit.Max != 1 {
				t.Errorf("%v", limit)
			}
		})
	}
}

// A broken rule is reported with limits per second too.
func TestBrokenRulesBesideRates(t *testing.T) {
	limits := endpoint.Limits{MessagesPerSecond: 10, BytesPerSecond: 10, ControlsPerSecond: 10}
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for name, tt := range map[string]struct {
			in   []byte
			code wire.StatusCode
		}{
			"header":          {[]byte{0x83}, wire.ProtocolError},
			"split header":    {declaring(role, wire.Binary, 17<<20, true), wire.MessageTooBig},
			"text":            {whole(role, wire.Text, "\xff"), wire.InvalidFramePayloadData},
			"fragment":        {fromPeer(role, wire.Text, "\xff", false), wire.InvalidFramePayloadData},
			"compressed text": {compressedFrame(role, wire.Text, "\xff", true), wire.InvalidFramePayloadData},
			"too many bytes":  {whole(role, wire.Binary, "12345678901"), wire.PolicyViolation},
		} {
			for _, size := range []int{1, len(tt.in)} {
				e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: limits, Compression: endpoint.NewCompression(new(copyCodec))})
				now := time.Now()
				for piece := range slices.Chunk(tt.in, size) {
					receiveAt(e, now, piece)
				}
				var failed *endpoint.FailError
				if err := e.Err(); !errors.As(err, &failed) || failed.Code != tt.code {
					t.Errorf("%s in pieces of %d: %v, want %d", name, size, err, tt.code)
				}
			}
		}
	})
}
