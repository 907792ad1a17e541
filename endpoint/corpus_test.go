package endpoint_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/fuzz/corpus/corpustest"
	"github.com/fibersock/fibersock/wire"
)

// The engine plays every script of the golden corpus.
func TestGoldenCorpus(t *testing.T) {
	corpustest.Runner{Open: openBare, Random: 8}.Run(t)
}

// The frames are the same if those sent at once are collected.
func TestGoldenCorpusCollected(t *testing.T) {
	open := func(t *testing.T, s *corpus.Script) corpustest.Subject {
		b := openBare(t, s).(*bare)
		w := new(gathering)
		b.e = endpoint.New(w, configOf(s))
		b.out = &w.out
		b.cork = endpoint.NewCork(1 << 10)
		return b
	}
	corpustest.Runner{Open: open, Random: 1}.Run(t)
}

// bare is an engine without a socket: Receive gets the peer's bytes, and the
// output is kept.
type bare struct {
	t       *testing.T
	e       *endpoint.Endpoint
	out     *bytes.Buffer
	cork    *endpoint.Cork // nil: frames are not collected
	events  []corpus.Event
	message *endpoint.MessageWriter // being sent in fragments
}

func openBare(t *testing.T, s *corpus.Script) corpustest.Subject {
	b := &bare{t: t, out: new(bytes.Buffer)}
	b.e = endpoint.New(b.out, configOf(s))
	return b
}

func configOf(s *corpus.Script) endpoint.Config {
	cfg := endpoint.Config{
		Role:    endpoint.Server,
		Limits:  endpoint.Limits{Frame: s.FrameLimit, Message: s.MessageLimit},
		Partial: s.Partial,
	}
	if s.Role == corpus.Client {
		cfg.Role = endpoint.Client
	}
	return cfg
}

func (b *bare) Input(in []byte) {
	if b.cork != nil {
		b.e.Cork(b.cork)
		defer b.e.Uncork()
	}
	for rest := in; ; {
		ev, n := b.e.Receive(time.Time{}, rest)
		rest = rest[n:]
		if ev.Kind == endpoint.KindNone {
			if len(rest) > 0 {
				b.t.Errorf("Receive returned None and left %d bytes", len(rest))
			}
			break
		}
		b.events = append(b.events, b.event(ev))
	}
	for i := range in {
		in[i] = 0xaa // the bytes were the engine's only while Receive ran
	}
}

// event converts ev to an event of the corpus. It copies the payload, which is
// valid only until the next Receive.
func (b *bare) event(ev endpoint.Event) corpus.Event {
	e := corpus.Event{Opcode: ev.Opcode, Final: ev.Final, Payload: bytes.Clone(ev.Payload)}
	switch ev.Kind {
	case endpoint.KindMessage:
		e.Kind = corpus.Message
	case endpoint.KindPartial:
		e.Kind = corpus.Partial
	case endpoint.KindPing:
		e.Kind = corpus.Ping
	case endpoint.KindPong:
		e.Kind = corpus.Pong
	case endpoint.KindClose:
		var closed *endpoint.CloseError
		if !errors.As(ev.Err, &closed) || closed.Code != b.e.CloseCode() || closed.Reason != b.e.CloseReason() {
			b.t.Errorf("Closing has the error %v, CloseCode is %v and CloseReason %q", ev.Err, b.e.CloseCode(), b.e.CloseReason())
			break
		}
		e.Kind, e.Code, e.Reason = corpus.Close, closed.Code, closed.Reason
	case endpoint.KindFailed:
		var failed *endpoint.FailError
		if !errors.As(ev.Err, &failed) || b.e.CloseCode() != wire.AbnormalClosure {
			b.t.Errorf("Failed has the error %v and CloseCode is %v", ev.Err, b.e.CloseCode())
			break
		}
		e.Kind, e.Code = corpus.Fail, failed.Code
	}
	return e
}

func (b *bare) EOF() {
	before := b.e.Err()
	err := b.e.TransportClosed(io.EOF, nil)
	switch {
	case err == nil:
		b.t.Error("Lost returned no error")
	case before == nil:
		b.events = append(b.events, corpus.Event{Kind: corpus.Lost, Code: b.e.CloseCode()})
	case err != before:
		b.t.Errorf("the connection ended with %v, and after EOF with %v", before, err)
	}
}

func (b *bare) Call(a corpus.Action) (err error) {
	if b.cork != nil {
		b.e.Cork(b.cork)
		defer b.e.Uncork()
	}
	switch a.Kind {
	case corpus.SendMessage:
		return b.e.Send(a.Opcode, a.Bytes)
	case corpus.SendFragment:
		if b.message == nil || b.message.Done() {
			if b.message, err = b.e.NextWriter(a.Opcode); err != nil {
				return err
			}
		}
		return b.message.WriteFragment(a.Bytes, a.Final)
	case corpus.SendPing:
		return b.e.Ping(a.Bytes)
	case corpus.SendPong:
		return b.e.Pong(a.Bytes)
	default: // corpus.SendClose; the runner calls no other action
		return b.e.Close(a.Code, a.Reason)
	}
}

func (b *bare) Observe() corpustest.Observation {
	o := corpustest.Observation{Events: b.events, Out: bytes.Clone(b.out.Bytes()), State: corpustest.State(b.e.State())}
	b.events = nil
	b.out.Reset()
	return o
}

func (b *bare) Close() {}
