package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wire"
)

// output is the output of a connection: messages on standard output, remarks on
// standard error. Any goroutine may use it.
//
// A message has this form:
//
//	-json                a line of JSON
//	-hex, -base64        binary as a line in that form
//	a terminal           text escaped, unless raw; binary as a line with its size and first bytes
//	a pipe or a file     text and a newline; binary as it is, without a newline
type output struct {
	json, raw   bool
	verbose     bool
	interactive bool      // a person types: there is a prompt, and received lines begin with "<"
	noLineEnd   bool      // no newline after a message
	encoding    *encoding // of binary messages, or nil
	recording   io.Writer // for -record, or nil
	url         string    // of the connection, without userinfo

	mu     sync.Mutex // guards the rest
	std    streams
	typing *typing // the edited line; nil if the terminal edits it
	prompt bool    // the prompt is the last thing on the screen
	over   bool    // the end was shown; nothing is written after it
	failed error   // the first error of standard output or of the recording; nothing is written after it
}

// event is one line of -json. Fields without a value are left out.
type event struct {
	Time         string          `json:"time"`                // RFC 3339, UTC, microseconds
	Direction    string          `json:"direction,omitempty"` // in, out
	Type         string          `json:"type"`                // open, text, binary, ping, pong, rtt, close, retry, error
	Size         *int            `json:"size,omitempty"`      // payload bytes
	Text         *string         `json:"text,omitempty"`      // of text
	Data         *[]byte         `json:"data,omitempty"`      // of binary, ping, pong: base64
	Code         wire.StatusCode `json:"code,omitempty"`      // of close
	Reason       *string         `json:"reason,omitempty"`    // of close
	Milliseconds *float64        `json:"ms,omitempty"`        // of rtt and retry
	URL          string          `json:"url,omitempty"`       // of open, without userinfo
	Subprotocol  string          `json:"subprotocol,omitempty"`
	Compression  string          `json:"compression,omitempty"` // of open: the negotiated extension
	Status       int             `json:"status,omitempty"`      // of error and retry: the HTTP status of the server or proxy
	Error        string          `json:"error,omitempty"`       // why it ended, if not by a closing handshake
}

// message shows a message or control frame of the given direction.
func (o *output) message(direction string, op wire.Opcode, payload []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.event(messageEvent(direction, op, payload))
	switch {
	case o.json || err != nil:
		return err
	case op.IsControl():
		if o.verbose {
			o.say("< %s, %d bytes%s", op, len(payload), controlText(payload)) // ours are sent by the library
		}
		return nil
	case direction == "out":
		return nil
	}
	return o.write(o.render(op, payload))
}

// controlText is the payload of a control frame in quotes, "" if there is none
// or if it is not text, such as the numbers that measure a round trip.
func controlText(payload []byte) string {
	if len(payload) == 0 || !utf8.Valid(payload) || escape(string(payload)) != string(payload) {
		return ""
	}
	return fmt.Sprintf(": %q", payload)
}

func messageEvent(direction string, op wire.Opcode, payload []byte) event {
	size := len(payload)
	e := event{Direction: direction, Type: op.String(), Size: &size}
	if op == wire.Text {
		text := string(payload)
		e.Text = &text
	} else {
		data := append([]byte{}, payload...) // not nil, which would be null
		e.Data = &data
	}
	return e
}

// render returns the bytes of a data message on standard output.
func (o *output) render(op wire.Opcode, payload []byte) []byte {
	var b []byte
	if o.interactive && o.std.outTerminal {
		b = append(b, "< "...)
	}
	switch {
	case op == wire.Binary && o.encoding != nil:
		b = append(b, o.encoding.encode(payload)...)
	case op == wire.Binary && !o.std.outTerminal:
		return payload
	case op == wire.Binary && !o.raw:
		b = append(b, hexPreview(payload)...)
	case o.std.outTerminal && !o.raw:
		b = append(b, escape(string(payload))...)
	default:
		b = append(b, payload...)
	}
	if o.noLineEnd {
		return b
	}
	return append(b, '\n')
}

// hexPreview is a binary message in one line.
func hexPreview(p []byte) string {
	const most = 24
	if len(p) <= most {
		return fmt.Sprintf("binary, %d bytes: % x", len(p), p)
	}
	return fmt.Sprintf("binary, %d bytes: % x …", len(p), p[:most])
}

// happened writes e to the recording and, with -json, to standard output.
func (o *output) happened(e event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.event(e)
}

// event is happened for a caller that has the lock.
func (o *output) event(e event) error {
	if !o.json && o.recording == nil {
		return nil
	}
	e.Time = time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	text, err := marshalJSON(e, "")
	if err != nil {
		return err
	}
	if o.recording != nil && o.failed == nil {
		if _, err := o.recording.Write(text); err != nil {
			o.failed = fmt.Errorf("-record: %w", err)
		}
	}
	if !o.json {
		return o.failed
	}
	return o.write(text)
}

// write writes to standard output. The caller has the lock.
func (o *output) write(p []byte) error {
	if o.failed != nil || o.over {
		return o.failed
	}
	o.hidePrompt()
	if _, err := o.std.out.Write(p); err != nil {
		o.failed = fmt.Errorf("standard output: %w", err)
	}
	o.showPrompt()
	return o.failed
}

// note writes a remark to standard error.
func (o *output) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.say(format, args...)
}

// details is note if -v was given.
func (o *output) details(format string, args ...any) {
	if o.verbose {
		o.note(format, args...)
	}
}

// say is note for a caller that has the lock.
func (o *output) say(format string, args ...any) {
	if o.over {
		return
	}
	o.hidePrompt()
	fmt.Fprintf(o.std.err, format+"\n", args...)
	o.showPrompt()
}

// failure shows an error.
func (o *output) failure(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.event(event{Type: "error", Status: httpStatus(err), Error: explain(err)})
	o.say("fibersock: %s", escape(explain(err)))
}

// retry shows the end of a connection or the failure of a try, and the time
// until the next one.
func (o *output) retry(err error, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	milliseconds := float64(wait.Milliseconds())
	o.event(event{Type: "retry", Milliseconds: &milliseconds, Status: httpStatus(err), Error: explain(err)})
	o.say("fibersock: %s; next try in %v", escape(explain(err)), wait.Round(time.Millisecond))
}

// httpStatus returns the status of the server or proxy that refused the
// connection, 0 if err is another one.
func httpStatus(err error) int {
	var refused *client.HandshakeError
	var proxy *client.ProxyError
	switch {
	case errors.As(err, &refused) && refused.Response != nil:
		return refused.Response.Status
	case errors.As(err, &proxy) && proxy.Response != nil:
		return proxy.Response.Status
	}
	return 0
}

// roundTrip shows the time between a Ping and its Pong.
func (o *output) roundTrip(rtt time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	milliseconds := float64(rtt.Microseconds()) / 1000
	o.event(event{Type: "rtt", Milliseconds: &milliseconds})
	if !o.json && (o.interactive || o.verbose) {
		o.say("round trip %v", rtt.Round(time.Microsecond))
	}
}

// closed shows the end of the connection: err, and e if this side has closed
// it. Nothing is written after it.
func (o *output) closed(err error, e *ending, exit exitCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hidePrompt()
	o.prompt = false
	o.event(closeEvent(err, e, exit))
	talkative := o.verbose || o.interactive
	switch {
	case exit == exitOK && e == nil:
		if talkative {
			o.say("%s", escape(capitalized(explain(err))))
		}
	case exit == exitOK, exit == exitInterrupted:
		if talkative {
			o.say("Closed with %v", closeEvent(err, e, exit).Code)
		}
	case e == nil || e.exit == exitOK: // otherwise e.err has been told
		o.say("fibersock: %s", escape(explain(err)))
	}
	o.over = true
}

// closeEvent is the last event. Its code and reason are those of the server's
// Close (RFC 6455, Section 7.1.5), also of one that answers ours, or 1006
// without a Close. For a failed connection it is the code that was sent. Its
// direction is that of the first Close.
func closeEvent(err error, e *ending, exit exitCode) event {
	var closed *client.CloseError
	var failed *client.FailError
	switch {
	case errors.As(err, &closed) && (e == nil || exit == exitPeerClosed):
		return event{Type: "close", Direction: "in", Code: closed.Code, Reason: &closed.Reason}
	case errors.As(err, &closed):
		return event{Type: "close", Direction: "out", Code: closed.Code, Reason: &closed.Reason}
	case errors.As(err, &failed):
		return event{Type: "close", Direction: "out", Code: failed.Code, Error: explain(err)}
	}
	return event{Type: "close", Code: wire.AbnormalClosure, Error: explain(err)}
}

// flagNames are the flags that set the options that the library's errors name.
var flagNames = strings.NewReplacer("(HandshakeTimeout)", "(-timeout)", "Limits.Message (", "-max-message (")

// timeoutFlag is the part of flagNames for commands without -max-message.
var timeoutFlag = strings.NewReplacer("(HandshakeTimeout)", "(-timeout)")

// explainDial is explain for commands without -max-message.
func explainDial(err error) string { return timeoutFlag.Replace(texts.WithoutPrefix(err)) }

// explain returns err's text for the user of connect.
func explain(err error) string { return flagNames.Replace(texts.WithoutPrefix(err)) }

func capitalized(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// broken returns the first error of standard output or the recording.
func (o *output) broken() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}
