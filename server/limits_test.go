package server_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A frame or message above a limit is refused at its header, before the payload
// arrives, with an error that names the option. One at the limit is accepted
// (6455-10.4-a, -b, 6455-5.2-i, 6455-7.4-g, T-A07, T-A08).
func TestLimitsAreCheckedAtTheHeader(t *testing.T) {
	const kib = 1 << 10
	whole := text(strings.Repeat("a", kib))
	half := fragment(wire.Text, strings.Repeat("a", kib), false)
	more := func(final bool) string { return fragment(wire.Continuation, strings.Repeat("a", kib), final) }
	tests := []struct {
		name   string
		limits server.Limits
		passes string // delivered before
		bad    string
		err    server.LimitError
	}{
		{"a frame", server.Limits{Frame: kib, Message: 4 * kib}, whole, declaring(wire.Text, kib+1, true),
			server.LimitError{Limit: "frame", Option: "Limits.Frame", Max: kib, Seen: kib + 1}},
		{"a message in one frame", server.Limits{Message: kib}, whole, declaring(wire.Binary, kib+1, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: kib, Seen: kib + 1}},
		{"a message in fragments", server.Limits{Frame: kib, Message: 2 * kib}, half + more(true), half + more(false) + declaring(wire.Continuation, 1, false),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 2 * kib, Seen: 2*kib + 1}},
		{"256 MiB, with the default", server.Limits{}, "", declaring(wire.Binary, 256<<20, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 256 << 20}},
		{"all that a header can say", server.Limits{}, "", declaring(wire.Binary, 1<<63-1, true),
			server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 1<<63 - 1}},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				var told *server.LimitError
				c, p, rec := opened(t, start, &server.Server{Limits: tt.limits})
				rec.want("open")
				if tt.passes != "" {
					p.send(tt.passes)
					if line := result(t, rec.lines); !strings.HasPrefix(line, "text ") {
						t.Errorf("the handler got %s", line)
					}
				}
				p.send(tt.bad)
				p.want(fmt.Sprintf("close 1009 %q", tt.err.Limit+" exceeds the size limit"))
				p.wantEnd()
				rec.want("failed 1009", `close 1006 ""`)
				if err := c.Err(); !errors.As(err, &told) || told.Limit != tt.err.Limit || told.Option != tt.err.Option || told.Max != tt.err.Max || told.Seen != tt.err.Seen ||
					!strings.Contains(err.Error(), fmt.Sprintf("exceeds %s (%d)", tt.err.Option, tt.err.Max)) {
					t.Errorf("%v, want %+v", err, tt.err)
				}
			})
		}
	})
}

// A negative limit means no limit. Handler.Partial has the same limits.
func TestLimitsOfMessagesInPieces(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		for _, limit := range []int64{1000, -1} {
			rec := newRecorder(t)
			h := rec.handler()
			h.Partial = rec.partial
			p := start(t, &server.Server{Handler: h, Limits: server.Limits{Message: limit}}).open(t)
			p.send(fragment(wire.Binary, strings.Repeat("a", 600), false))
			rec.want("open", "partial binary 600 bytes +")
			p.send(declaring(wire.Continuation, 1<<40, false), "V") // "a", masked
			if limit < 0 {
				rec.want(`partial binary "a" +`)
				continue
			}
			rec.want("failed 1009", `close 1006 ""`)
		}
	})
}

// SetLimits changes the limits of one open connection, and of no other.
func TestSetLimitsOfOneConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{Limits: server.Limits{Message: 10}})
		p := s.open(t)
		c := rec.conn()
		rec.want("open")
		c.SetLimits(0, 20)
		p.send(text(strings.Repeat("x", 20)))
		rec.want(`text "xxxxxxxxxxxxxxxxxxxx"`)
		c.SetLimits(15, -1)
		p.send(text(strings.Repeat("x", 15)), fragment(wire.Text, strings.Repeat("x", 15), false), fragment(wire.Continuation, strings.Repeat("x", 15), true))
		rec.want(`text "xxxxxxxxxxxxxxx"`, `text "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"`)
		p.send(declaring(wire.Text, 16, true))
		p.want(`close 1009 "frame exceeds the size limit"`)
		p.nc.Close()
		rec.want("failed 1009", `close 1006 ""`)

		other := s.open(t)
		rec.conn()
		rec.want("open")
		other.send(declaring(wire.Text, 11, true))
		other.want(`close 1009 "message exceeds the size limit"`)
		other.nc.Close()
		rec.want("failed 1009", `close 1006 ""`)
	})
}
