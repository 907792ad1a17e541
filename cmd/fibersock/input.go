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

// inputEnd is why input is over: nothing more came, or it asked for an ending.
type inputEnd struct{ ending *ending }

// readInput sends the lines of standard input until there are no more, and tells run. The last line needs no line end;
// a line may be of any length.
func (s *session) readInput() {
	reader := bufio.NewReader(s.std.in)
	for number := 1; ; number++ {
		s.out.ask()
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			s.out.answered()
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if e := s.take(line, number); e != nil {
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

// take does with a line what it is for. If the session is to end with it, it returns how.
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
	err := fmt.Errorf("line %d of the input is not UTF-8, as a text message must be; -binary sends it as it is", number)
	if s.interactive {
		s.out.failure(err)
		return nil
	}
	return &ending{code: wire.NormalClosure, exit: exitUsage, err: err}
}

// send sends a message. If the connection has ended, receive tells why. The message is shown first, since the
// answer may be there before Send returns.
func (s *session) send(op wire.Opcode, payload []byte) *ending {
	if err := s.out.message("out", op, payload); err != nil {
		e := outputEnding(err)
		return &e
	}
	s.conn.Send(op, payload)
	return nil
}

// command carries out what stood behind the slash.
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
