package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// pingPatience is how long /ping waits for its Pong.
const pingPatience = 10 * time.Second

const commandHelp = `Each line is sent as a message. Lines that begin with a slash are commands:
  /ping                   send a Ping and tell the time until its Pong
  /binary HEX             send a binary message, such as /binary 00 ff 7f
  /close [CODE [REASON]]  close the connection, with 1000 if no code is given
  /quit                   close the connection with 1000; so does Ctrl-D
  //TEXT                  send a message that begins with a slash
  /help                   show this`

// inputEnd is the cause of the end of input: end of file, or a command that
// closes.
type inputEnd struct{ ending *ending }

// readInput sends the messages of standard input until there are no more, and
// tells run. A message may be of any length.
func (s *session) readInput() {
	next := s.inputReader()
	for number := 1; ; number++ {
		s.out.ask()
		payload, some, err := next()
		if some {
			s.out.answered()
			if e := s.take(payload, number); e != nil {
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

// maxChunk is the largest message of -binary without -delimiter, in bytes.
const maxChunk = 64 << 10

// inputReader returns a function that reads the next message of standard input.
// some reports whether there is one. The last may be returned with an error.
func (s *session) inputReader() func() (payload []byte, some bool, err error) {
	reader := bufio.NewReader(s.std.in)
	switch d := s.options.delimiter; {
	case d.set && d.text == "":
		return func() ([]byte, bool, error) {
			all, err := io.ReadAll(reader)
			if err == nil {
				err = io.EOF
			}
			return all, len(all) > 0, err
		}
	case d.set:
		return func() ([]byte, bool, error) { return readUntil(reader, []byte(d.text)) }
	case s.options.binary && !s.interactive:
		chunk := make([]byte, maxChunk)
		return func() ([]byte, bool, error) {
			n, err := reader.Read(chunk)
			return chunk[:n], n > 0, err
		}
	}
	return func() ([]byte, bool, error) {
		line, some, err := readUntil(reader, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), some, err
	}
}

// readUntil reads up to a delimiter, which is left out, or to the end of input,
// and reports whether there was anything.
func readUntil(r *bufio.Reader, delimiter []byte) (text []byte, some bool, err error) {
	for {
		part, err := r.ReadBytes(delimiter[len(delimiter)-1])
		text = append(text, part...)
		if before, found := bytes.CutSuffix(text, delimiter); found {
			return before, true, err
		}
		if err != nil {
			return text, len(text) > 0, err
		}
	}
}

// take handles a line of input. It returns the end of the session, if the line
// ends it.
func (s *session) take(line []byte, number int) *ending {
	if s.interactive {
		switch {
		case len(line) == 0:
			return nil
		case bytes.HasPrefix(line, []byte("//")):
			line = line[1:]
		case line[0] == '/':
			return s.command(string(line[1:]))
		}
	}
	if s.options.binary {
		return s.send(wire.Binary, line)
	}
	if utf8.Valid(line) {
		return s.send(wire.Text, line)
	}
	err := fmt.Errorf("message %d of the input is not UTF-8, as a text message must be; -binary sends it as it is", number)
	if s.interactive {
		s.out.failure(err)
		return nil
	}
	return &ending{code: wire.NormalClosure, exit: exitUsage, err: err}
}

// send sends a message. If the connection has ended, receive tells why. The
// message is shown first, since the answer may be there before Send returns.
func (s *session) send(op wire.Opcode, payload []byte) *ending {
	if err := s.out.message("out", op, payload); err != nil {
		e := outputEnding(err)
		return &e
	}
	s.conn.Send(op, payload)
	return nil
}

// command runs the command after the slash.
func (s *session) command(text string) *ending {
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "ping":
		go func() {
			if !s.ping(pingPatience) {
				s.out.note("no Pong within %v", pingPatience)
			}
		}()
	case "binary":
		payload, err := hex.DecodeString(strings.Join(strings.Fields(rest), ""))
		if err != nil {
			s.out.note("/binary takes bytes in hexadecimal, such as 00 ff 7f")
			return nil
		}
		return s.send(wire.Binary, payload)
	case "close":
		e, err := parseClose(rest)
		if err != nil {
			s.out.note("%s", err)
			return nil
		}
		return e
	case "quit":
		return &ending{code: wire.NormalClosure}
	case "help":
		s.out.note("%s", commandHelp)
	default:
		s.out.note("There is no command %q. /help lists them; // begins a message with a slash.", "/"+name)
	}
	return nil
}

// parseClose reads "[CODE [REASON]]".
func parseClose(text string) (*ending, error) {
	e := &ending{code: wire.NormalClosure}
	if text == "" {
		return e, nil
	}
	digits, reason, _ := strings.Cut(text, " ")
	code, err := strconv.Atoi(digits)
	if err != nil {
		return nil, fmt.Errorf("/close takes a status code and then the reason, such as /close 4000 bye")
	}
	e.code, e.reason = wire.StatusCode(code), strings.TrimSpace(reason)
	if _, err := wire.AppendClosePayload(nil, e.code, e.reason); err != nil {
		return nil, fmt.Errorf("/close %s: %s", digits, withoutPrefix(err))
	}
	return e, nil
}
