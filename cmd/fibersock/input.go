package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// inputEnd is the cause of the end of input: end of file, or a command that
// closes.
type inputEnd struct{ ending *ending }

// outgoing is a message of the input, or on a terminal perhaps a command.
type outgoing struct {
	op      wire.Opcode // Text or Binary; 0: payload is still to be encoded as the flags say
	payload []byte
	typed   bool // on a terminal
}

// A source returns the next message of the input. ok reports whether there is
// one. The last message may be returned with an error, which is io.EOF at the
// end of input. The payload is valid until the next call.
type source func() (m outgoing, ok bool, err error)

// readInput sends the messages of the input, and reports its end to run. A
// message may be of any length.
func (s *session) readInput() {
	for number := 1; ; number++ {
		m, ok, err := s.next()
		if ok {
			if e := s.handle(m, number); e != nil {
				s.input <- inputEnd{e}
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			s.input <- inputEnd{}
			return
		case err != nil:
			s.input <- inputEnd{&ending{code: wire.GoingAway, exit: exitUsage, err: fmt.Errorf("standard input: %w", err)}}
			return
		}
	}
}

// givenMessages returns a source of prepared messages, and then of more, which
// may be nil.
func givenMessages(prepared []outgoing, more source) source {
	return func() (m outgoing, ok bool, err error) {
		switch {
		case len(prepared) > 0:
			m, prepared = prepared[0], prepared[1:]
			return m, true, nil
		case more != nil:
			return more()
		}
		return m, false, io.EOF
	}
}

// maxChunk is the largest message of -binary without -delimiter, in bytes.
const maxChunk = 64 << 10

// pipedMessages returns the source of a pipe or file.
func (o *connectOptions) pipedMessages(in io.Reader) source {
	reader := bufio.NewReader(in)
	switch d := o.delimiter; {
	case d.set && d.text == "":
		return func() (outgoing, bool, error) {
			all, err := o.sendLimit().readAll(reader, "the input")
			if err == nil {
				err = io.EOF
			}
			return outgoing{payload: all}, len(all) > 0, err
		}
	case d.set:
		return func() (outgoing, bool, error) {
			payload, ok, err := o.sendLimit().readUntil(reader, []byte(d.text), "the text up to the next delimiter")
			return outgoing{payload: payload}, ok, err
		}
	case o.chunked():
		chunk := make([]byte, maxChunk)
		return func() (outgoing, bool, error) {
			n, err := reader.Read(chunk)
			return outgoing{payload: chunk[:n]}, n > 0, err
		}
	}
	return func() (outgoing, bool, error) {
		line, ok, err := o.sendLimit().readLine(reader)
		return outgoing{payload: line}, ok, err
	}
}

// chunked reports whether a pipe or file is sent as it is read, in messages
// whose number and sizes are arbitrary.
func (o *connectOptions) chunked() bool {
	return o.binary && !o.delimiter.set && o.encoding() == nil
}

// typedMessages returns the source of a terminal: the lines that the editor of
// out returns, or those of the terminal itself.
func (o *connectOptions) typedMessages(in io.Reader, out *output) source {
	reader := bufio.NewReader(in)
	read := o.sendLimit().readLine
	if out.editing() {
		read = out.editedLine
	}
	return func() (outgoing, bool, error) {
		out.ask()
		line, ok, err := read(reader)
		if ok {
			out.answered()
		}
		return outgoing{payload: line, typed: true}, ok, err
	}
}

// encoding is the form of binary messages of -hex and -base64.
type encoding struct {
	name   string
	decode func(text string) ([]byte, error)
	encode func(payload []byte) string
}

var (
	hexEncoding    = &encoding{"hexadecimal", hex.DecodeString, hex.EncodeToString}
	base64Encoding = &encoding{"base64", decodeBase64, base64.StdEncoding.EncodeToString}
)

// decodeBase64 decodes base64 with or without padding, in the usual alphabet or
// that for URLs.
func decodeBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(text)
}

// bytes decodes text. It ignores spaces.
func (e *encoding) bytes(text []byte) ([]byte, error) {
	payload, err := e.decode(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		return nil, fmt.Errorf("it is not %s: %w", e.name, err)
	}
	return payload, nil
}

// encoding returns that of the flags, nil for none.
func (o *connectOptions) encoding() *encoding {
	switch {
	case o.hex:
		return hexEncoding
	case o.base64:
		return base64Encoding
	}
	return nil
}

// message returns the message of a text of the input.
func (o *connectOptions) message(text []byte) (m outgoing, err error) {
	if encoding := o.encoding(); encoding != nil {
		m.op = wire.Binary
		m.payload, err = encoding.bytes(text)
		return m, err
	}
	return o.exact(text)
}

// exact returns the message with exactly this payload.
func (o *connectOptions) exact(payload []byte) (outgoing, error) {
	switch {
	case o.binary || o.encoding() != nil:
		return outgoing{op: wire.Binary, payload: payload}, nil
	case utf8.Valid(payload):
		return outgoing{op: wire.Text, payload: payload}, nil
	}
	return outgoing{}, errors.New("it is not UTF-8, as a text message must be; -binary sends it as it is")
}

// untilInterrupted calls read, which may block on a terminal or a named pipe,
// and returns its error, or the error of ctx if ctx ends first. Then read keeps
// running, and the caller must not use its results.
func untilInterrupted(ctx context.Context, read func() error) error {
	done := make(chan error, 1)
	go func() { done <- read() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// argument returns the message of -x: text, @FILE, @- for standard input, or
// @@ and the text after the first @.
func (o *connectOptions) argument(text string, in io.Reader) (outgoing, error) {
	name, isFile := strings.CutPrefix(text, "@")
	switch {
	case !isFile:
		return o.message([]byte(text))
	case strings.HasPrefix(name, "@"):
		return o.message([]byte(name))
	case name == "-":
		payload, err := o.sendLimit().readAll(in, "standard input")
		if err != nil {
			return outgoing{}, err
		}
		return o.exact(payload)
	}
	return o.file(name)
}

// file returns the message with the bytes of a file.
func (o *connectOptions) file(name string) (outgoing, error) {
	payload, err := o.sendLimit().readFile(name)
	if err != nil {
		return outgoing{}, err
	}
	m, err := o.exact(payload)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// handle sends a message of the input, or runs a command. It returns the end of
// the session, if the input ends it.
func (s *session) handle(m outgoing, number int) *ending {
	if m.typed {
		switch {
		case len(m.payload) == 0:
			return nil
		case bytes.HasPrefix(m.payload, []byte("//")):
			m.payload = m.payload[1:]
		case m.payload[0] == '/':
			return s.command(string(m.payload[1:]))
		}
	}
	if m.op == 0 {
		encoded, err := s.options.message(m.payload)
		if err != nil {
			return s.rejected(fmt.Errorf("message %d of the input: %w", number, err), m.typed)
		}
		m.op, m.payload = encoded.op, encoded.payload
	}
	return s.send(m.op, m.payload)
}

// rejected reports input that cannot be sent. A person can type it again; for
// a pipe it is the end.
func (s *session) rejected(err error, typed bool) *ending {
	if typed {
		s.out.failure(err)
		return nil
	}
	return &ending{code: wire.NormalClosure, exit: exitUsage, err: err}
}

// send sends a message. If the connection has ended, receive reports it. The
// message is shown first, since the answer may be there before Send returns.
func (s *session) send(op wire.Opcode, payload []byte) *ending {
	if err := s.out.message("out", op, payload); err != nil {
		e := outputEnding(err)
		return &e
	}
	s.sentData.count(payload)
	c := s.link.await(s.done)
	if c == nil {
		return nil
	}
	if err := c.Send(op, payload); err != nil && s.options.reconnect {
		s.out.note("fibersock: a message may be lost: %s", escape(explain(err)))
	}
	return nil
}
