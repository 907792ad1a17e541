package wstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/wire"
)

// step is one line of a script.
type step struct {
	line int
	text string
	do   func(p *Peer) error
}

// parse reads a script for a peer of the role r.
func parse(text string, r corpus.Role) ([]step, error) {
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		do, err := parseLine(line, r)
		if err != nil {
			return nil, &ScriptError{i + 1, line, err}
		}
		if do != nil {
			steps = append(steps, step{i + 1, line, do})
		}
	}
	return steps, nil
}

// parseLine returns the action of a line, nil for an empty line.
func parseLine(line string, r corpus.Role) (func(p *Peer) error, error) {
	tokens, err := corpus.Lex(line)
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	word, args := tokens.Word()
	switch word {
	case "open", "request", "response":
		return parseHandshake(word, args, r)
	case "send":
		return parseSend(args, r)
	case "expect":
		return parseExpect(args, r)
	case "wait":
		d, args, err := duration(args)
		return func(*Peer) error { time.Sleep(d); return nil }, errors.Join(err, args.None())
	case "end":
		return (*Peer).end, args.None()
	case "hangup":
		return (*Peer).Close, args.None()
	case "reset":
		return (*Peer).reset, args.None()
	}
	return nil, fmt.Errorf("unknown line %q", tokens[0].Text)
}

func parseSend(args corpus.Args, r corpus.Role) (func(p *Peer) error, error) {
	f, ok, err := parseFrame(args, r)
	if ok {
		return func(p *Peer) error { return p.send(f.append(nil, p.nextKey())) }, err
	}
	bytes, err := args.Bytes()
	if err == nil && len(bytes) == 0 {
		err = errors.New("send without bytes")
	}
	return func(p *Peer) error { return p.send(bytes) }, err
}

func parseExpect(args corpus.Args, r corpus.Role) (func(p *Peer) error, error) {
	tested := corpus.Client
	if r == corpus.Client {
		tested = corpus.Server
	}
	if word, rest := args.Word(); word == "end" {
		return func(p *Peer) error { return p.expectEnd(isEnd) }, rest.None()
	} else if word == "reset" {
		return func(p *Peer) error { return p.expectEnd(isReset) }, rest.None()
	} else if word == "silence" {
		d, rest, err := duration(rest)
		return func(p *Peer) error { return p.expectSilence(d) }, errors.Join(err, rest.None())
	}
	var want []corpus.Frame
	f, ok, err := parseFrame(args, tested)
	switch {
	case err != nil:
		return nil, err
	case ok && f.anyReason:
		want = []corpus.Frame{{CloseCode: f.code}}
	case ok:
		want = []corpus.Frame{{Bytes: f.append(nil, 0)}}
	default:
		if want, err = wholeFrames(args, tested); err != nil {
			return nil, err
		}
	}
	return func(p *Peer) error {
		for _, f := range want {
			if err := p.expect(f); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// wholeFrames parses frames of an endpoint with the role r.
func wholeFrames(args corpus.Args, r corpus.Role) ([]corpus.Frame, error) {
	b, err := args.Bytes()
	if err != nil {
		return nil, err
	}
	whole, rest := corpus.SplitFrames(b)
	if len(whole) == 0 || len(rest) > 0 {
		return nil, errors.New("the bytes are not whole frames")
	}
	var want []corpus.Frame
	for _, f := range whole {
		if _, key, masked := corpus.Unmasked(f); masked != (r == corpus.Client) || key != [4]byte{} {
			return nil, errors.New("a client's frames have the masking key 00000000, a server's none")
		}
		want = append(want, corpus.Frame{Bytes: f})
	}
	return want, nil
}

// firstKey is the masking key of the first frame of a client, from the examples
// in RFC 6455, Section 5.7.
const firstKey wire.MaskingKey = 0x3d21fa37

// nextKey returns the next of a fixed sequence of different masking keys. A
// test needs no secret.
func (p *Peer) nextKey() wire.MaskingKey {
	key := firstKey + p.keys*0x9e3779b9
	p.keys++
	return key
}

// kinds are the words for frames.
var kinds = []struct {
	word   string
	opcode wire.Opcode
}{
	{"continuation", wire.Continuation},
	{"text", wire.Text},
	{"binary", wire.Binary},
	{"close", wire.Close},
	{"ping", wire.Ping},
	{"pong", wire.Pong},
}

// frame is a frame in words.
type frame struct {
	header  wire.Header
	payload []byte

	code      wire.StatusCode // of a Close
	anyReason bool            // the script gives no reason
}

// parseFrame parses a frame in words, of an endpoint with the role r. ok is
// false if args do not begin with such a word.
func parseFrame(args corpus.Args, r corpus.Role) (f frame, ok bool, err error) {
	word, rest := args.Word()
	for _, k := range kinds {
		if word != k.word {
			continue
		}
		f.header = wire.Header{Fin: true, Opcode: k.opcode, Masked: r == corpus.Client}
		if len(rest) > 0 && rest[0].Is("more") {
			f.header.Fin, rest = false, rest[1:]
		}
		if k.opcode == wire.Close && len(rest) > 0 {
			return f, true, f.parseClose(rest)
		}
		f.payload, err = rest.Bytes()
		return f, true, err
	}
	return frame{}, false, nil
}

// parseClose parses the code of a Close and an optional reason.
func (f *frame) parseClose(args corpus.Args) error {
	code, rest, err := args.Code()
	if err != nil {
		return err
	}
	reason, err := rest.Text()
	f.code, f.anyReason = code, len(rest) == 0
	f.payload = append([]byte{byte(code >> 8), byte(code)}, reason...)
	return err
}

// append appends the frame's bytes, masked with key if it is a client's.
func (f *frame) append(b []byte, key wire.MaskingKey) []byte {
	f.header.Key = key
	return wire.AppendFrame(b, f.header, f.payload)
}

// duration parses a time in Go's form, such as 1.5s.
func duration(args corpus.Args) (time.Duration, corpus.Args, error) {
	word, args := args.Word()
	d, err := time.ParseDuration(word)
	if err != nil {
		err = fmt.Errorf("%q is not a time such as 1.5s", word)
	}
	return d, args, err
}

// status parses an HTTP status.
func status(args corpus.Args) (int, corpus.Args, error) {
	word, args := args.Word()
	n, err := strconv.Atoi(word)
	if err != nil || n < 100 || n > 999 {
		return 0, args, fmt.Errorf("%q is not an HTTP status", word)
	}
	return n, args, nil
}
