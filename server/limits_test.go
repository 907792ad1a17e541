package server_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// What is over a limit is refused when its header says so, before its payload
// comes, with an error that names the option; what is at the limit passes
// (6455-10.4-a, -b, 6455-5.2-i, 6455-7.4-g, T-A07, T-A08).
func TestLimitsAreCheckedAtTheHeader(t *testing.T) {
	const kib = 1 << 10
	tests := []struct {
		name   string
		limits server.Limits
		passes string // is delivered before
		bad    string
		want   string // the Close
		err    server.LimitError
	}{
		{
			name:   "a frame",
			limits: server.Limits{Frame: kib, Message: 4 * kib},
			passes: text(strings.Repeat("a", kib)),
			bad:    declaring(wire.Text, kib+1, true),
			want:   `close 1009 "frame exceeds the size limit"`,
			err:    server.LimitError{Limit: "frame", Option: "Limits.Frame", Max: kib, Seen: kib + 1},
		},
		{
			name:   "a message in one frame",
			limits: server.Limits{Message: kib},
			passes: text(strings.Repeat("a", kib)),
			bad:    declaring(wire.Binary, kib+1, true),
			want:   `close 1009 "message exceeds the size limit"`,
			err:    server.LimitError{Limit: "message", Option: "Limits.Message", Max: kib, Seen: kib + 1},
		},
		{
			name:   "a message in fragments",
			limits: server.Limits{Frame: kib, Message: 2 * kib},
			passes: fragment(wire.Text, strings.Repeat("a", kib), false) + fragment(wire.Continuation, strings.Repeat("a", kib), true),
			bad:    fragment(wire.Text, strings.Repeat("a", kib), false) + fragment(wire.Continuation, strings.Repeat("a", kib), false) + declaring(wire.Continuation, 1, false),
			want:   `close 1009 "message exceeds the size limit"`,
			err:    server.LimitError{Limit: "message", Option: "Limits.Message", Max: 2 * kib, Seen: 2*kib + 1},
		},
		{
			name: "256 MiB, with the default",
			bad:  declaring(wire.Binary, 256<<20, true),
			want: `close 1009 "message exceeds the size limit"`,
			err:  server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 256 << 20},
		},
		{
			name: "all that a header can say",
			bad:  declaring(wire.Binary, 1<<63-1, true),
			want: `close 1009 "message exceeds the size limit"`,
			err:  server.LimitError{Limit: "message", Option: "Limits.Message", Max: 16 << 20, Seen: 1<<63 - 1},
		},
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
						t.Errorf("the handler was told %s", line)
					}
				}
				p.send(tt.bad)
				p.want(tt.want)
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

// Negative limits are none, and a program that wants pieces has the same limits.
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

// SetLimits changes the limits of one connection while it is open, and no other.
func TestSetLimitsOfOneConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		s := start(t, &server.Server{Handler: rec.handler(), Limits: server.Limits{Message: 10}})
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
