package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wire"
)

// pingPatience is the time that /ping waits for its Pong.
const pingPatience = 10 * time.Second

// slashCommand is a command of a terminal. Its run gets the text after its
// name, and returns the end of the session if it ends it.
type slashCommand struct {
	name      string
	arguments string // in the help
	help      string
	run       func(s *session, rest string) *ending
}

// slashCommands returns the commands in the order of the help.
func slashCommands() []slashCommand {
	return []slashCommand{
		{"ping", "[TEXT]", "send a Ping; without TEXT, show the time until its Pong", (*session).pingCommand},
		{"pong", "[TEXT]", "send a Pong that answers no Ping", (*session).pongCommand},
		{"text", "TEXT", "send a text message, which may be empty", (*session).textCommand},
		{"binary", "HEX", "send a binary message, such as /binary 00 ff 7f", (*session).binaryCommand},
		{"file", "NAME", "send the bytes of a file as one message", (*session).fileCommand},
		{"state", "", "show the connection: address, extensions, messages, time", (*session).stateCommand},
		{"close", "[CODE [REASON]]", "close the connection, with 1000 if no code is given", (*session).closeCommand},
		{"quit", "", "close the connection with 1000; so does Ctrl-D", (*session).quitCommand},
		{"help", "", "show this", (*session).helpCommand},
	}
}

// commandNames returns the commands as they are typed.
func commandNames() (names []string) {
	for _, c := range slashCommands() {
		name := "/" + c.name
		if c.arguments != "" {
			name += " "
		}
		names = append(names, name)
	}
	return names
}

// command runs the command after the slash.
func (s *session) command(text string) *ending {
	name, rest, _ := strings.Cut(text, " ")
	for _, c := range slashCommands() {
		if c.name == name {
			return c.run(s, rest)
		}
	}
	s.out.note("There is no command %s. /help lists them; // begins a message with a slash.", quoted("/"+name))
	return nil
}

// quoted is a typed text in an error.
func quoted(s string) string { return strconv.Quote(s) }

// control sends a control frame with a text of up to 125 bytes.
func (s *session) control(send func(*client.Conn, []byte) error, text string) *ending {
	c := s.link.get()
	if c == nil {
		s.out.note("not connected")
	} else if err := send(c, []byte(text)); err != nil {
		s.out.failure(err)
	}
	return nil
}

func (s *session) pongCommand(rest string) *ending { return s.control((*client.Conn).SendPong, rest) }

func (s *session) pingCommand(rest string) *ending {
	if rest != "" {
		return s.control((*client.Conn).SendPing, rest)
	}
	if s.link.get() == nil {
		s.out.note("not connected")
		return nil
	}
	go func() {
		if !s.ping(pingPatience) {
			s.out.note("no Pong within %v", pingPatience)
		}
	}()
	return nil
}

func (s *session) textCommand(rest string) *ending {
	payload := []byte(rest)
	m, err := new(connectOptions).exact(payload)
	if err != nil {
		return s.rejected(err, true)
	}
	return s.send(m.op, m.payload)
}

func (s *session) binaryCommand(rest string) *ending {
	payload, err := hexEncoding.bytes([]byte(rest))
	if err != nil {
		s.out.note("/binary needs bytes in hexadecimal, such as 00 ff 7f")
		return nil
	}
	return s.send(wire.Binary, payload)
}

func (s *session) fileCommand(rest string) *ending {
	m, err := s.options.file(strings.TrimSpace(rest))
	if err != nil {
		return s.rejected(err, true)
	}
	return s.send(m.op, m.payload)
}

func (s *session) stateCommand(string) *ending {
	c := s.link.get()
	if c == nil {
		s.out.note("not connected")
		return nil
	}
	lines := []string{
		fmt.Sprintf("%s at %s, for %v", s.out.url, c.RemoteAddr(), time.Since(s.opened).Round(time.Second)),
		"sent         " + s.sentData.String(),
		"received     " + s.receivedData.String(),
	}
	if name := c.Subprotocol(); name != "" {
		lines = append(lines, "subprotocol  "+name)
	}
	if name := c.Compression(); name != "" {
		lines = append(lines, "compression  "+name)
	}
	if rtt := s.roundTrip.Load(); rtt > 0 {
		lines = append(lines, fmt.Sprintf("round trip   %v", time.Duration(rtt).Round(time.Microsecond)))
	}
	s.out.note("%s", escapeLines(lines))
	return nil
}

// escapeLines returns lines of text as one, escaped for a terminal.
func escapeLines(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(escape(line))
	}
	return b.String()
}

func (s *session) closeCommand(rest string) *ending {
	e, err := parseClose(strings.TrimSpace(rest))
	if err != nil {
		s.out.note("/close: %s", escape(err.Error()))
		return nil
	}
	return e
}

func (s *session) quitCommand(string) *ending { return &ending{code: wire.NormalClosure} }

func (s *session) helpCommand(string) *ending {
	var b strings.Builder
	b.WriteString("Each line is sent as a message. Lines that begin with a slash are commands:\n")
	for _, c := range slashCommands() {
		fmt.Fprintf(&b, "  %-24s %s\n", "/"+c.name+" "+c.arguments, c.help)
	}
	b.WriteString("  //TEXT                   send a message that begins with a slash")
	if s.out.editing() {
		b.WriteString("\nKeys are those of a shell: arrows, Ctrl-A, -E, -K, -U, -W, -Y, -R (search), -L, Tab (complete).\n" +
			"Alt-Enter begins another line of the same message; a paste of several lines is one message.")
	}
	s.out.note("%s", b.String())
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
		return nil, errors.New("a Close has a status code and then a reason, such as 4000 bye")
	}
	e.code, e.reason = wire.StatusCode(code), strings.TrimSpace(reason)
	if _, err := wire.AppendClosePayload(nil, e.code, e.reason); err != nil {
		return nil, fmt.Errorf("%s: %s", digits, texts.WithoutPrefix(err))
	}
	return e, nil
}
