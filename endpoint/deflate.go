package endpoint

import (
	"github.com/fibersock/fibersock/wire"
)

// This file sends compressed messages (RFC 7692, Section 6.1). A message is
// compressed under the sender's lock, after all earlier ones: its payload may
// refer to theirs. If the write fails, nothing more is sent.

// deflatePart is the largest part, in bytes, of a fragment that is compressed
// at once.
const deflatePart = 64 << 10

// send is Endpoint.Send for a message of at least the threshold.
func (c compression) send(e *Endpoint, op wire.Opcode, p []byte) error {
	if err := checkMessage(op, p); err != nil {
		return err
	}
	s := &e.sender
	s.lockForMessage(len(p))
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(c.write(s, e.config(), op, p))
}

// write writes a message, compressed if that makes it smaller. The caller holds
// mu.
func (c compression) write(s *sender, cfg *SharedConfig, op wire.Opcode, p []byte) error {
	buf := assemblies.get()
	defer assemblies.put(buf)
	h := wire.Header{Fin: true, Opcode: op}
	encoded, ok := c.coderOf(s).AppendMessage(buf.bytes, p)
	buf.bytes = encoded // it may have grown in any case
	if ok {
		countCompressed(s, 1, len(p), len(encoded))
		h.RSV, p = wire.RSV1, encoded
	}
	return s.writeData(h, p, cfg.maxFrame)
}

// writeFragment writes a fragment of a compressed message of type op, in parts.
// first and final mark the ends of the message. The caller holds mu.
func (c compression) writeFragment(s *sender, cfg *SharedConfig, op wire.Opcode, p []byte, first, final bool) error {
	if first && final {
		return c.write(s, cfg, op, p)
	}
	buf := assemblies.get()
	defer assemblies.put(buf)
	h := wire.Header{Opcode: wire.Continuation}
	if first {
		h.RSV, h.Opcode = wire.RSV1, op
	}
	for {
		part := p[:min(len(p), deflatePart)]
		p = p[len(part):]
		h.Fin = final && len(p) == 0
		buf.bytes = c.coderOf(s).AppendFragment(buf.bytes[:0], part, h.Fin)
		messages := 0
		if h.Fin {
			messages = 1
		}
		countCompressed(s, messages, len(part), len(buf.bytes))
		if err := s.writeData(h, buf.bytes, cfg.maxFrame); err != nil || len(p) == 0 {
			return err
		}
		s.flushControl()
		if err := s.sendErr(); err != nil {
			return err
		}
		h.RSV, h.Opcode = 0, wire.Continuation
	}
}

// form returns the compressed form of m, nil if m is sent uncompressed. The
// caller, which sends it, holds the mu of s.
func (c compression) form(s *sender, m *Prepared) *Prepared {
	if m.single {
		return c.singleForm(s, m)
	}
	form := m.compressed.Load()
	if form == nil {
		form = compressPrepared(c.AppendShared, m)
		m.compressed.Store(form)
	}
	if form.payload == 0 {
		return nil
	}
	if rare := s.rare.Load(); rare != nil && rare.coder != nil {
		rare.coder.(Coder).AddPlain(m.frame[len(m.frame)-m.payload:])
	}
	countCompressed(s, 1, m.payload, form.payload)
	return form
}

// singleForm is form for a message of PrepareSingle.
func (c compression) singleForm(s *sender, m *Prepared) *Prepared {
	form := compressPrepared(c.coderOf(s).AppendMessage, m)
	if form.payload == 0 {
		return nil
	}
	countCompressed(s, 1, m.payload, form.payload)
	return form
}

// compressPrepared returns the form of m that compress makes, an empty one if
// there is none.
func compressPrepared(compress func(dst, p []byte) ([]byte, bool), m *Prepared) *Prepared {
	buf := assemblies.get()
	defer assemblies.put(buf)
	encoded, ok := compress(buf.bytes, m.frame[len(m.frame)-m.payload:])
	buf.bytes = encoded
	if !ok {
		return new(Prepared)
	}
	h := wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Opcode(m.frame[0] &^ finBit)}
	return newPrepared(h, encoded)
}

// coderOf returns the Coder of s, allocated on the first call. Its compressor is
// used under mu, its decompressor by the receiving goroutine.
func (c compression) coderOf(s *sender) Coder {
	var coder Coder
	for {
		old := s.rare.Load()
		if old != nil && old.coder != nil {
			return old.coder.(Coder)
		}
		if coder == nil {
			coder = c.NewCoder()
		}
		rare := &senderRare{coder: coder}
		if old != nil {
			rare.ext = old.ext
		}
		s.rare.CompareAndSwap(old, rare)
	}
}

// countCompressed counts compressed messages, or parts of one.
func countCompressed(s *sender, messages, decoded, encoded int) {
	if s.counters != nil {
		addCompressed(&s.counters.Sent, messages, int64(decoded), int64(encoded))
	}
}
