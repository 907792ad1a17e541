package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fibersock/fibersock/wstest/conform"
)

// Verdicts are the two verdicts on a case.
type Verdicts struct {
	Behavior      conform.Verdict
	BehaviorClose conform.Verdict
}

// An Expectation has the expected verdicts of one agent or several. Several
// goroutines may use it.
type Expectation struct {
	agents map[string]map[string]Verdicts // by agent and by case id or pattern
}

// ReadExpectation reads an expectation in the format of index.json, such as the
// index.json of an earlier run of the judge or of the suite. Of a case it reads
// "behavior" and "behaviorClose", which are required. An id may be a pattern,
// in which "*" matches any text: "12.*".
//
// An empty file, a file without an agent, an unknown verdict and a repeated key
// are errors, with the line.
func ReadExpectation(r io.Reader) (*Expectation, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("websocket: cannot read the expectation: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("websocket: the expectation is empty")
	}
	p := &expectationParser{text: text, d: json.NewDecoder(bytes.NewReader(text))}
	agents := map[string]map[string]Verdicts{}
	err = p.object("the file", func(agent string) error {
		cases := map[string]Verdicts{}
		agents[agent] = cases
		return p.object(fmt.Sprintf("agent %s", quoted(agent)), func(id string) (err error) {
			cases[id], err = p.verdicts(agent, id)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if len(agents) == 0 {
		return nil, errors.New("websocket: the expectation names no agent")
	}
	if _, err := p.d.Token(); err != io.EOF {
		return nil, p.errorf("there is more after the end of the expectation")
	}
	return &Expectation{agents: agents}, nil
}

// expectationParser reads the JSON token by token, because a map would drop the
// first of two equal keys.
type expectationParser struct {
	text []byte
	d    *json.Decoder
}

// object reads an object and calls value for each key, to read its value.
func (p *expectationParser) object(what string, value func(key string) error) error {
	start, err := p.d.Token()
	if err != nil {
		return p.syntax(err)
	}
	if start != json.Delim('{') {
		return p.errorf("%s must be an object", what)
	}
	seen := map[string]bool{}
	for p.d.More() {
		token, err := p.d.Token()
		if err != nil {
			return p.syntax(err)
		}
		key := token.(string) // the decoder accepts no other key
		if seen[key] {
			return p.errorf("%s has the key %s twice", what, quoted(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	if _, err := p.d.Token(); err != nil {
		return p.syntax(err)
	}
	return nil
}

// verdicts reads the expected verdicts of one case.
func (p *expectationParser) verdicts(agent, id string) (Verdicts, error) {
	what := fmt.Sprintf("case %s of agent %s", quoted(id), quoted(agent))
	var v Verdicts
	err := p.object(what, func(key string) error {
		var into *conform.Verdict
		switch key {
		case "behavior":
			into = &v.Behavior
		case "behaviorClose":
			into = &v.BehaviorClose
		default:
			var ignored json.RawMessage
			return p.syntax(p.d.Decode(&ignored))
		}
		if err := p.d.Decode(into); err != nil {
			return p.syntax(err)
		}
		if !slices.Contains(verdicts, *into) {
			return p.errorf("%s: %q: there is no verdict %s", what, key, quoted(string(*into)))
		}
		return nil
	})
	if err == nil && (v.Behavior == "" || v.BehaviorClose == "") {
		err = p.errorf(`%s needs both "behavior" and "behaviorClose"`, what)
	}
	return v, err
}

// errorf returns an error with the current line.
func (p *expectationParser) errorf(format string, args ...any) error {
	return p.at(p.d.InputOffset(), fmt.Errorf(format, args...))
}

// syntax returns the decoder's error with its line.
func (p *expectationParser) syntax(err error) error {
	if err == nil {
		return nil
	}
	offset := p.d.InputOffset()
	var wrong *json.SyntaxError
	if errors.As(err, &wrong) {
		offset = wrong.Offset
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p.at(offset, err)
}

func (p *expectationParser) at(offset int64, err error) error {
	offset = min(max(offset, 0), int64(len(p.text)))
	line := 1 + bytes.Count(p.text[:offset], []byte("\n"))
	return fmt.Errorf("websocket: expectation, line %d: %w", line, err)
}

// Compare returns the cases whose results differ from the expected verdicts, in
// the order of the cases; nil if none does. A result that is better than
// expected is a difference, and so is a case without expected verdicts. Cases
// that did not run are none. The expectation of a single agent is for an agent
// of any name. With several, an unknown agent is an error.
//
// The expectations of a case are those of its id, else those of the longest
// pattern that matches, and among equally long ones the first in alphabetical
// order.
func (e *Expectation) Compare(agent string, results []*conform.Result) ([]Difference, error) {
	cases, err := e.of(agent)
	if err != nil {
		return nil, err
	}
	var differences []Difference
	for _, r := range inOrder(results) {
		got := Verdicts{r.Behavior, r.BehaviorClose}
		if want := expected(cases, r.Case.ID); want != got {
			differences = append(differences, Difference{ID: r.Case.ID, Want: want, Got: got})
		}
	}
	return differences, nil
}

// of returns the expectations of agent.
func (e *Expectation) of(agent string) (map[string]Verdicts, error) {
	if cases, ok := e.agents[agent]; ok {
		return cases, nil
	}
	names := slices.Sorted(maps.Keys(e.agents))
	if len(names) == 1 {
		return e.agents[names[0]], nil
	}
	for i, name := range names {
		names[i] = quoted(name)
	}
	return nil, fmt.Errorf("websocket: nothing is expected of agent %s, only of %s", quoted(agent), cut(strings.Join(names, ", "), 500))
}

// expected returns the verdicts that the most specific of the keys has for a
// case; the zero Verdicts if none matches.
func expected(cases map[string]Verdicts, id string) Verdicts {
	if v, ok := cases[id]; ok {
		return v
	}
	var matching []string
	for pattern := range cases {
		if matches(pattern, id) {
			matching = append(matching, pattern)
		}
	}
	if len(matching) == 0 {
		return Verdicts{}
	}
	return cases[slices.MinFunc(matching, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})]
}

// matches reports whether pattern, in which "*" matches any text, matches id. A
// pattern without "*" is an id and matches nothing.
func matches(pattern, id string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return false
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(id) < len(first)+len(last) || !strings.HasPrefix(id, first) || !strings.HasSuffix(id, last) {
		return false
	}
	rest := id[len(first) : len(id)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}

// A Difference is a case that did not end as expected.
type Difference struct {
	ID   string
	Want Verdicts // zero if no verdicts were expected
	Got  Verdicts
}

// Stricter reports whether neither verdict is better than the expected one.
func (d Difference) Stricter() bool {
	worse := func(want, got conform.Verdict) bool {
		return got == want || got.Broken() || got == conform.NonStrict && want == conform.OK
	}
	return d.Want != (Verdicts{}) && worse(d.Want.Behavior, d.Got.Behavior) && worse(d.Want.BehaviorClose, d.Got.BehaviorClose)
}

// String returns the difference as one line without its end.
func (d Difference) String() string {
	if d.Want == (Verdicts{}) {
		return fmt.Sprintf("case %s: nothing was expected of it; got %s, close %s", d.ID, d.Got.Behavior, d.Got.BehaviorClose)
	}
	var parts []string
	if d.Want.Behavior != d.Got.Behavior {
		parts = append(parts, fmt.Sprintf("expected %s, got %s", d.Want.Behavior, d.Got.Behavior))
	}
	if d.Want.BehaviorClose != d.Got.BehaviorClose {
		parts = append(parts, fmt.Sprintf("expected close %s, got close %s", d.Want.BehaviorClose, d.Got.BehaviorClose))
	}
	return fmt.Sprintf("case %s: %s", d.ID, strings.Join(parts, "; "))
}
