package measure

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/internal/test/usage"
)

// ErrDone is the error of Session.Next after the last message.
var ErrDone = errors.New("measured")

// A Session provides the messages, checks the replies, and measures.
type Session struct {
	Text bool

	payload  []byte // never given away
	send     []byte // a copy, because a library may mask in place
	left     int    // round trips of the part that is under way
	measured int    // round trips to measure, and the second part
	started  bool   // the second part is under way

	before, after used
}

// used is the resource usage of the process since its start.
type used struct {
	user, sys time.Duration
	stats     serve.Stats
}

// NewSession returns a session of n round trips after a warm-up, with messages
// of size bytes.
func NewSession(n, warmup, size int, text bool) *Session {
	p := payload(size, text)
	return &Session{Text: text, payload: p, send: bytes.Clone(p), left: warmup, measured: n}
}

// payload returns size bytes: for text, Greek and Japanese, which is valid
// UTF-8.
func payload(size int, text bool) []byte {
	p := make([]byte, 0, size)
	if !text {
		for i := range size {
			p = append(p, byte(i*31+7))
		}
		return p
	}
	const words = "χαῖρε κόσμε · 世界こんにちは "
	for len(p)+len(words) <= size {
		p = append(p, words...)
	}
	return append(p, bytes.Repeat([]byte("-"), size-len(p))...)
}

// First returns the first message to send.
func (s *Session) First() []byte {
	s.advance()
	return s.send
}

// Next checks a reply and returns the next message. The error is ErrDone after
// the last.
func (s *Session) Next(text bool, reply []byte) ([]byte, error) {
	if text != s.Text || !bytes.Equal(reply, s.payload) {
		return nil, s.wrong(text, reply)
	}
	s.left--
	if s.left > 0 {
		return s.send, nil
	}
	return s.send, s.advance()
}

// advance begins the next part, if the one under way is at its end.
func (s *Session) advance() error {
	switch {
	case s.left > 0:
		return nil
	case !s.started:
		s.started, s.left = true, s.measured
		runtime.GC() // garbage of the warm-up is not part of the measurement
		s.before = readUsed()
		return nil
	}
	s.after = readUsed()
	return ErrDone
}

func (s *Session) wrong(text bool, reply []byte) error {
	if text != s.Text || len(reply) != len(s.payload) {
		return fmt.Errorf("sent %d bytes, text %t, and received %d bytes, text %t", len(s.payload), s.Text, len(reply), text)
	}
	for i, b := range reply {
		if b != s.payload[i] {
			return fmt.Errorf("received %#02x at byte %d of %d, sent %#02x", b, i, len(reply), s.payload[i])
		}
	}
	return nil
}

func (s *Session) result() Result {
	return Result{
		Messages:   s.measured,
		Size:       len(s.payload),
		UserNS:     int64(s.after.user - s.before.user),
		SysNS:      int64(s.after.sys - s.before.sys),
		Mallocs:    s.after.stats.Mallocs - s.before.stats.Mallocs,
		AllocBytes: s.after.stats.AllocBytes - s.before.stats.AllocBytes,
	}
}

func readUsed() (u used) {
	u.stats = serve.ReadStats()
	u.user, u.sys = usage.CPU()
	return u
}
