package corpus

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/wire"
)

// Parse parses the scripts of one file. An error names the file and the line.
func Parse(file, text string) ([]*Script, error) {
	p := parser{file: file}
	for i, line := range strings.Split(text, "\n") {
		p.line = i + 1
		if err := p.parseLine(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
	}
	return p.done, nil
}

// parser parses a file line by line.
type parser struct {
	file string
	line int
	done []*Script

	// The script being parsed; nil before the first.
	script *Script
	seen   map[string]bool // lines of its head
	group  bool            // the line before was an in
	ended  bool            // the transport has ended
}

func (p *parser) parseLine(line string) error {
	if title, ok := strings.CutPrefix(line, "=="); ok {
		if err := p.finish(); err != nil {
			return err
		}
		return p.begin(title)
	}
	tokens, err := Lex(line)
	if err != nil || len(tokens) == 0 {
		return err
	}
	if p.script == nil {
		return errors.New("the file begins without a script's == line")
	}
	name, args := tokens[0], tokens[1:]
	if !name.IsWord() {
		return errors.New("the line begins with bytes, not with a word")
	}
	return p.directive(name.Text, args)
}

func (p *parser) directive(name string, args Args) error {
	group := p.group
	p.group = name == "in"
	switch name {
	case "role", "limit", "partial":
		return p.head(name, args)
	case "in":
		return p.input(args, group)
	case "eof", "send", "fragment", "ping", "pong", "close":
		return p.act(name, args)
	case "event", "out", "state":
		return p.expect(name, args)
	}
	return fmt.Errorf("unknown line %q", name)
}

// begin starts the script with a title.
func (p *parser) begin(title string) error {
	name, rules, ok := strings.Cut(title, "[")
	rules, closed := strings.CutSuffix(strings.TrimSpace(rules), "]")
	p.script = &Script{
		File:  p.file,
		Line:  p.line,
		Name:  strings.TrimSpace(name),
		Rules: strings.Fields(rules),
	}
	p.seen, p.group, p.ended = make(map[string]bool), false, false
	switch {
	case p.script.Name == "":
		return errors.New("script without a name")
	case !ok || !closed || len(p.script.Rules) == 0:
		return errors.New("script without its requirements in brackets")
	}
	for _, s := range p.done {
		if s.Name == p.script.Name {
			return fmt.Errorf("a script of this name begins at line %d", s.Line)
		}
	}
	return nil
}

// finish checks the script that ends here and adds it to those done.
func (p *parser) finish() error {
	s := p.script
	switch {
	case s == nil:
		return nil
	case len(s.Steps) == 0:
		return fmt.Errorf("in the script %q before nothing happens", s.Name)
	}
	if s.Role != both {
		p.done = append(p.done, s)
		return nil
	}
	client, server, err := s.roles()
	if err != nil {
		return fmt.Errorf("the script %q before: %w", s.Name, err)
	}
	p.done = append(p.done, client, server)
	return nil
}

// head parses a line of the script's head.
func (p *parser) head(name string, args Args) error {
	if len(p.script.Steps) > 0 {
		return fmt.Errorf("%s stands after something has happened", name)
	}
	key := name
	if name == "limit" && len(args) > 0 {
		key += " " + args[0].Text
	}
	if p.seen[key] {
		return fmt.Errorf("second line of %s", key)
	}
	p.seen[key] = true
	switch name {
	case "role":
		return p.role(args)
	case "limit":
		return p.limit(args)
	default:
		p.script.Partial = true
		return args.None()
	}
}

func (p *parser) role(args Args) error {
	w, args := args.Word()
	if p.script.Role = Role(w); !slices.Contains([]Role{Client, Server, both}, p.script.Role) {
		return fmt.Errorf("role %q is not client, server or both", w)
	}
	return args.None()
}

func (p *parser) limit(args Args) error {
	what, args := args.Word()
	value, args := args.Word()
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case value == "none":
		n = NoLimit
	case err != nil || n < 1:
		return fmt.Errorf("limit %q is neither a positive number nor none", value)
	}
	switch what {
	case "frame":
		p.script.FrameLimit = n
	case "message":
		p.script.MessageLimit = n
	default:
		return fmt.Errorf("limit of %q is not of frame or message", what)
	}
	return args.None()
}

// input parses a line of in, which continues the group of the line before.
func (p *parser) input(args Args, group bool) error {
	b, err := args.Bytes()
	switch {
	case err != nil:
		return err
	case len(b) == 0:
		return errors.New("in without bytes")
	case p.ended:
		return errors.New("in after eof")
	}
	if group {
		last := &p.last().Action
		last.Bytes = append(last.Bytes, b...)
		return nil
	}
	return p.step(Action{Kind: Input, Bytes: b})
}

// act parses an action other than in.
func (p *parser) act(name string, args Args) error {
	if name == "eof" {
		if p.ended {
			return errors.New("second eof")
		}
		p.ended = true
		if err := args.None(); err != nil {
			return err
		}
		return p.step(Action{Kind: EOF})
	}
	a, err := parseCall(name, args)
	if err != nil {
		return err
	}
	return p.step(a)
}

func (p *parser) step(a Action) error {
	if p.script.Role == "" {
		return errors.New("something happens before the role is said")
	}
	p.script.Steps = append(p.script.Steps, Step{Line: p.line, Action: a})
	return nil
}

// last returns the step that the line belongs to.
func (p *parser) last() *Step { return &p.script.Steps[len(p.script.Steps)-1] }

func parseCall(name string, args Args) (a Action, err error) {
	if n := len(args); n > 0 && args[n-1].Is("error") {
		a.Refused, args = true, args[:n-1]
	}
	switch a.Kind = ActionKind(name); a.Kind {
	case SendMessage:
		a.Opcode, args, err = args.Opcode()
	case SendFragment:
		a.Opcode, a.Final, args, err = fragment(args)
	case SendClose:
		a.Code, args, err = args.Code()
		if err == nil {
			a.Reason, err = args.Text()
		}
		return a, err
	}
	if err == nil {
		a.Bytes, err = args.Bytes()
	}
	return a, err
}

// expect parses a result of the last step.
func (p *parser) expect(name string, args Args) error {
	if len(p.script.Steps) == 0 {
		return fmt.Errorf("%s before anything has happened", name)
	}
	step := p.last()
	if step.Action.Refused && name != "state" {
		return fmt.Errorf("%s of a call that must be refused", name)
	}
	switch name {
	case "event":
		e, err := parseEvent(args)
		e.Line = p.line
		step.Events = append(step.Events, e)
		return err
	case "out":
		frames, err := parseOut(args, p.line, p.script.Role)
		step.Out = append(step.Out, frames...)
		return err
	default:
		if step.State != "" {
			return errors.New("second state")
		}
		var err error
		step.State, err = parseState(args)
		return err
	}
}

func parseEvent(args Args) (e Event, err error) {
	kind, args := args.Word()
	switch e.Kind = EventKind(kind); e.Kind {
	case Message:
		e.Opcode, args, err = args.Opcode()
	case Partial:
		e.Opcode, e.Final, args, err = fragment(args)
	case Ping, Pong:
	case Close, Fail, Lost:
		if e.Code, args, err = args.Code(); err != nil {
			return e, err
		}
		switch {
		case e.Kind == Close:
			e.Reason, err = args.Text()
			return e, err
		case e.Kind == Lost && e.Code != wire.AbnormalClosure:
			return e, fmt.Errorf("lost has the code %d and not 1006", int(e.Code))
		}
		return e, args.None()
	default:
		return e, fmt.Errorf("unknown event %q", kind)
	}
	if err == nil {
		e.Payload, err = args.Bytes()
	}
	return e, err
}

// parseOut parses frames that an endpoint of the role r must write.
func parseOut(args Args, line int, r Role) ([]Frame, error) {
	if len(args) > 0 && args[0].Is("close") {
		code, args, err := args[1:].Code()
		if err != nil {
			return nil, err
		}
		if code == 0 {
			return nil, errors.New("out close wants a code: a Close frame without one is spelt in bytes")
		}
		return []Frame{{Line: line, CloseCode: code}}, args.None()
	}
	b, err := args.Bytes()
	if err != nil {
		return nil, err
	}
	whole, rest := SplitFrames(b)
	if len(whole) == 0 || len(rest) > 0 {
		return nil, errors.New("out is not made of whole frames")
	}
	var frames []Frame
	for _, f := range whole {
		if _, key, masked := Unmasked(f); masked != (r == Client) || key != [4]byte{} {
			return nil, errors.New("a client's frames have the masking key 00000000, others none")
		}
		frames = append(frames, Frame{Line: line, Bytes: f})
	}
	return frames, nil
}

func parseState(args Args) (State, error) {
	w, args := args.Word()
	if s := State(w); slices.Contains([]State{Open, CloseSent, Closed}, s) {
		return s, args.None()
	}
	return "", fmt.Errorf("state %q is not open, closesent or closed", w)
}

func fragment(args Args) (op wire.Opcode, final bool, rest Args, err error) {
	op, args, err = args.Opcode()
	if err != nil {
		return op, false, args, err
	}
	w, args := args.Word()
	if w != "more" && w != "final" {
		return op, false, args, fmt.Errorf("%q is not more or final", w)
	}
	return op, w == "final", args, nil
}
