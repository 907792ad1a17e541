package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A script is a peer in another language: a program below peers/ that reads
// commands from its standard input and answers each on its standard output, as
// JSON objects, one a line. Payloads are in base64; a failed command answers
// {"error": …}.
//
//	do         with                     answer
//	listen     subprotocols, cert, key, deflate   url      listens on a free port of 127.0.0.1; with cert and key (files) over TLS; deflate: the configuration of permessage-deflate or null
//	accept                              subprotocol        waits for the next connection, which becomes the current one
//	dial       url, subprotocols, ca, deflate    subprotocol        the new connection becomes the current one
//	send       kind, data                                  one frame
//	fragments  kind, parts                                 several frames, with a ping and its pong between them
//	ping       data                     data               of the pong, once it has arrived
//	receive                             kind, data         of the next message; or kind "close", code, reason
//	close      code, reason             kind, code, reason when the connection has ended; code 0: an empty Close
type script struct {
	*process
	in  io.Writer
	out *bufio.Reader
}

type command struct {
	Do           string          `json:"do"`
	URL          string          `json:"url"`
	Subprotocols []string        `json:"subprotocols"`
	Cert         string          `json:"cert"`
	Key          string          `json:"key"`
	CA           string          `json:"ca"`
	Deflate      any             `json:"deflate"`
	Kind         kind            `json:"kind"`
	Data         []byte          `json:"data"`
	Parts        [][]byte        `json:"parts"`
	Code         wire.StatusCode `json:"code"`
	Reason       string          `json:"reason"`
}

type answer struct {
	Error       string          `json:"error"`
	URL         string          `json:"url"`
	Subprotocol string          `json:"subprotocol"`
	Kind        kind            `json:"kind"`
	Data        []byte          `json:"data"`
	Code        wire.StatusCode `json:"code"`
	Reason      string          `json:"reason"`
}

// startScript runs the program for the rest of t.
func startScript(t *testing.T, name string, program ...string) party {
	t.Helper()
	cmd := exec.Command(program[0], program[1:]...)
	in, err := cmd.StdinPipe()
	check.Must(t, err)
	out, err := cmd.StdoutPipe()
	check.Must(t, err)
	s := &script{process: start(t, cmd), in: in, out: bufio.NewReader(out)}
	return party{name: name, dial: s.dial, listen: s.listen}
}

func (s *script) dial(t *testing.T, url string, o options) endpoint {
	t.Helper()
	c := command{Do: "dial", URL: url, Subprotocols: orNone(o.offered), Deflate: o.theirs}
	if o.secure {
		c.CA, _ = testCertificate().files(t)
	}
	return s.opened(t, c)
}

func (s *script) listen(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	c := command{Do: "listen", Subprotocols: orNone(o.supported), Deflate: o.theirs}
	if o.secure {
		c.Cert, c.Key = testCertificate().files(t)
	}
	a, err := s.call(c)
	check.Must(t, err)
	return a.URL, func() endpoint { return s.opened(t, command{Do: "accept"}) }
}

// opened returns the connection that is the current one after c.
func (s *script) opened(t *testing.T, c command) endpoint {
	t.Helper()
	a, err := s.call(c)
	check.Must(t, err)
	return scriptEndpoint{s, a.Subprotocol}
}

// call sends a command and waits for its answer, and kills a program that does not give one.
func (s *script) call(c command) (answer, error) {
	watchdog := time.AfterFunc(patience, func() { s.Process.Kill() })
	defer watchdog.Stop()
	var a answer
	line, err := json.Marshal(c)
	if err != nil {
		return a, err
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return a, fmt.Errorf("%s: %w", c.Do, err)
	}
	line, err = s.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("%s: %w", c.Do, err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("%s: %w in %q", c.Do, err, line)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %w", c.Do, errors.New(a.Error))
	}
	return a, nil
}

type scriptEndpoint struct {
	s      *script
	agreed string
}

func (e scriptEndpoint) subprotocol() string { return e.agreed }

func (e scriptEndpoint) send(m event) error {
	_, err := e.s.call(command{Do: "send", Kind: m.kind, Data: m.payload})
	return err
}

func (e scriptEndpoint) sendFragments(k kind, parts [][]byte) error {
	_, err := e.s.call(command{Do: "fragments", Kind: k, Parts: parts})
	return err
}

func (e scriptEndpoint) ping(payload []byte) error {
	a, err := e.s.call(command{Do: "ping", Data: payload})
	if err == nil && string(a.Data) != string(payload) {
		err = fmt.Errorf("the pong brought %q for %q", a.Data, payload)
	}
	return err
}

func (e scriptEndpoint) receive() (event, error) {
	return e.s.event(command{Do: "receive"})
}

func (e scriptEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	return e.s.event(command{Do: "close", Code: code, Reason: reason})
}

func (s *script) event(c command) (event, error) {
	a, err := s.call(c)
	return event{kind: a.Kind, payload: a.Data, code: a.Code, reason: a.Reason}, err
}

// orNone makes nil an empty list in JSON.
func orNone(list []string) []string {
	return append([]string{}, list...)
}

// scriptModes returns modes of a script's permessage-deflate, in JSON.
func scriptModes(role role, configs ...string) (list []mode) {
	for _, config := range configs {
		list = append(list, mode{name: config, config: json.RawMessage(config), role: role, once: true})
	}
	return list
}
