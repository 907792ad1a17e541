package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wire"
)

const frameUsage = `Usage: fibersock frame [flags] [BYTES...]

Explains bytes as the WebSocket frames of one direction of a connection: the
fields of each header, the masking key, the payload without the mask, the code
and reason of a Close, and broken rules with the section of the RFC.

BYTES are hexadecimal; spaces, colons, commas and 0x are ignored. Without BYTES,
standard input is read: hexadecimal, base64 with -base64, or bytes as they are
with -raw.

A message with RSV1 is decompressed as permessage-deflate (RFC 7692), with the
context of the messages before it; at most 1 MiB of a message.

Examples:
  fibersock frame 81 05 48 65 6c 6c 6f
  fibersock frame -from client 818537fa213d7f9f4d5158
  tcpdump … | fibersock frame -raw -json
`

const frameExitCodes = `
Exit codes:
  0    the bytes are whole frames that break no rule
  1    wrong use: flags, or bytes that are not hexadecimal or base64
  5    a frame breaks a rule
  6    the last frame is incomplete
  130  interrupted
`

// maxInflated bounds a decompressed message.
const maxInflated = 1 << 20

// frameOptions are the flags of frame.
type frameOptions struct {
	base64, raw, json bool
	from              string
	maxInput          sizeFlag
}

func frameFlags() (*flag.FlagSet, *frameOptions) {
	o := &frameOptions{maxInput: defaultMaxInput}
	flags := newFlags("frame", frameUsage, frameExitCodes)
	flags.BoolVar(&o.base64, "base64", false, "BYTES or standard input are base64")
	flags.BoolVar(&o.raw, "raw", false, "standard input is the bytes themselves")
	flags.StringVar(&o.from, "from", "", "check the mask too: the bytes are from this `side`, client or server")
	flags.Var(&o.maxInput, "max-input", "read standard input up to this `size`: bytes, 64K, 16M, or none for any size")
	flags.BoolVar(&o.json, "json", false, "write a line of JSON for each frame")
	return flags, o
}

// frameCommand is the subcommand frame.
func frameCommand(ctx context.Context, args []string, std streams) exitCode {
	flags, o := frameFlags()
	rest, err := parse(flags, args)
	switch {
	case err != nil:
	case o.base64 && o.raw:
		err = usagef("-base64 and -raw are two forms of the input: take one of them")
	case o.raw && len(rest) > 0:
		err = usagef("-raw reads standard input and takes no arguments")
	case o.from != "" && o.from != "client" && o.from != "server":
		err = usagef("-from takes client or server, not %q", o.from)
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	var b []byte
	err = untilInterrupted(ctx, func() (err error) {
		b, err = o.input(rest, std.in)
		return err
	})
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	e := &explainer{options: o, out: std.out}
	if err == nil {
		err = e.explain(b)
	}
	if err != nil {
		std.fail(err)
		return exitUsage
	}
	return e.code
}

// input returns the bytes of the arguments or of standard input.
func (o *frameOptions) input(args []string, in io.Reader) ([]byte, error) {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		b, err := inputLimit{o.maxInput, "-max-input"}.readAll(in, "standard input")
		if err != nil || o.raw {
			return b, err
		}
		text = string(b)
	}
	form := base64Encoding
	if !o.base64 {
		form = hexEncoding
		text = strings.NewReplacer("0x", "", "0X", "", ":", "", ",", "").Replace(text)
	}
	b, err := form.bytes([]byte(text))
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0:
		return nil, errors.New("there are no bytes")
	}
	return b, nil
}

// frameReport describes a frame. Empty fields are left out.
type frameReport struct {
	Offset   int          `json:"offset"` // in the input, in bytes
	Header   string       `json:"header"` // in hexadecimal
	FIN      bool         `json:"fin"`
	RSV1     bool         `json:"rsv1"`
	RSV2     bool         `json:"rsv2"`
	RSV3     bool         `json:"rsv3"`
	Opcode   string       `json:"opcode"`
	Masked   bool         `json:"masked"`
	Key      string       `json:"key,omitempty"`
	Length   *int64       `json:"length,omitempty"` // of the payload, by the header; nil if it cannot be parsed
	Text     *string      `json:"text,omitempty"`
	Data     *[]byte      `json:"data,omitempty"`     // the payload without the mask, in base64, if it is no text
	Inflated *string      `json:"inflated,omitempty"` // the message that ends with this frame, decompressed
	Code     int          `json:"code,omitempty"`     // of a Close
	Reason   string       `json:"reason,omitempty"`   // of a Close
	Missing  int64        `json:"missing,omitempty"`  // bytes that are not there
	Errors   []frameError `json:"errors,omitempty"`
}

// frameError is a broken rule.
type frameError struct {
	Rule    string `json:"rule"`
	Section string `json:"section"`
	Code    int    `json:"code"` // of the Close that answers it
}

// sections are the sections of the rules of package wire.
var sections = map[error]string{
	wire.ErrReservedOpcode:    "RFC 6455, Section 5.2",
	wire.ErrFragmentedControl: "RFC 6455, Section 5.5",
	wire.ErrControlTooLong:    "RFC 6455, Section 5.5",
	wire.ErrNonMinimalLength:  "RFC 6455, Section 5.2",
	wire.ErrLengthTopBit:      "RFC 6455, Section 5.2",
	wire.ErrClosePayload:      "RFC 6455, Section 5.5.1",
	wire.ErrStatusCode:        "RFC 6455, Section 7.4",
	wire.ErrInvalidUTF8:       "RFC 6455, Section 8.1",
}

// explainer explains the frames of one direction.
type explainer struct {
	options *frameOptions
	out     io.Writer
	code    exitCode

	first      wire.Opcode // of the unfinished message; Continuation if there is none
	compressed bool        // it has RSV1
	message    []byte      // its payload, if it is compressed
	utf8       wire.UTF8   // of an uncompressed text
	window     []byte      // the last 32 KiB of decompressed messages
	over       bool        // a Close was sent
}

// explain explains all of b. It stops at a header that cannot be parsed,
// because the end of its frame is not known. The error is of the output.
func (e *explainer) explain(b []byte) error {
	for offset := 0; offset < len(b); {
		r, n := e.frame(b[offset:])
		r.Offset = offset
		if err := e.show(r); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		offset += n
	}
	if e.first != wire.Continuation && e.code == exitOK && !e.options.json {
		_, err := fmt.Fprintln(e.out, "The last message is unfinished: a frame with FIN is missing.")
		return err
	}
	return nil
}

// frame explains the frame at the start of b and returns its size, 0 for the
// last one that can be explained.
func (e *explainer) frame(b []byte) (*frameReport, int) {
	r := new(frameReport)
	broken := func(err error, section string) {
		rule := frameError{Rule: texts.WithoutPrefix(err), Section: section}
		if w := new(wire.Error); errors.As(err, &w) {
			rule.Code = int(w.Code)
		}
		r.Errors = append(r.Errors, rule)
		e.code = exitFailed
	}
	h, n, err := wire.ParseHeader(b)
	r.FIN, r.Opcode, r.Masked = h.Fin, h.Opcode.String(), h.Masked
	r.RSV1, r.RSV2, r.RSV3 = h.RSV&wire.RSV1 != 0, h.RSV&wire.RSV2 != 0, h.RSV&wire.RSV3 != 0
	if err != nil {
		r.Header = hex.EncodeToString(b[:min(len(b), wire.MaxHeaderSize)])
		broken(err, sections[err])
		// ParseHeader stops at the broken rule. Behind the first byte of a
		// binary frame, the other fields of the same header can be parsed.
		lenient := append([]byte{0x82}, b[1:min(len(b), wire.MaxHeaderSize)]...)
		if h, n, err := wire.ParseHeader(lenient); err == nil && n > 0 {
			r.fields(h, b[:n])
		}
		return r, 0
	}
	if n == 0 {
		r.Header, r.Missing = hex.EncodeToString(b), 1
		e.incomplete()
		return r, 0
	}
	r.fields(h, b[:n])
	payload := bytes.Clone(b[n:min(int64(len(b)), int64(n)+h.Length)])
	if h.Masked {
		wire.Mask(payload, h.Key)
	}
	e.check(h, broken)
	if r.Missing = h.Length - int64(len(payload)); r.Missing > 0 {
		e.incomplete()
		e.payload(r, h, payload)
		return r, 0
	}
	e.payload(r, h, payload)
	switch {
	case h.Opcode == wire.Close:
		e.over = true
		code, reason, err := wire.ParseClosePayload(payload)
		r.Code, r.Reason = int(code), string(reason)
		if err != nil {
			broken(err, sections[err])
		}
	case !h.Opcode.IsControl():
		e.assemble(r, h, payload, broken)
	}
	return r, n + len(payload)
}

// fields describes the mask and the length of a whole header.
func (r *frameReport) fields(h wire.Header, header []byte) {
	r.Header, r.Masked, r.Length = hex.EncodeToString(header), h.Masked, &h.Length
	if h.Masked {
		key := h.Key.Bytes()
		r.Key = hex.EncodeToString(key[:])
	}
}

// incomplete notes that the last frame is.
func (e *explainer) incomplete() {
	if e.code == exitOK {
		e.code = exitLost
	}
}

// payload describes the payload of a frame.
func (e *explainer) payload(r *frameReport, h wire.Header, payload []byte) {
	if plain := h.RSV&wire.RSV1 == 0 && !(h.Opcode == wire.Continuation && e.compressed); plain && h.Opcode != wire.Binary && h.Opcode != wire.Close && utf8.Valid(payload) {
		text := string(payload)
		r.Text = &text
		return
	}
	r.Data = &payload
}

// The rules about sequences of frames.
var (
	errMaskMissing = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a client is not masked"}
	errMaskPresent = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a server is masked"}
	errReservedBit = &wire.Error{Code: wire.ProtocolError, Reason: "reserved bit RSV2 or RSV3 set, which no extension in use defines"}
	errControlRSV1 = &wire.Error{Code: wire.ProtocolError, Reason: "RSV1 on a control frame"}
	errLateRSV1    = &wire.Error{Code: wire.ProtocolError, Reason: "RSV1 not on the first frame of a message"}
	errNoMessage   = &wire.Error{Code: wire.ProtocolError, Reason: "continuation frame without a message"}
	errInterleaved = &wire.Error{Code: wire.ProtocolError, Reason: "new message inside a fragmented message"}
	errAfterClose  = &wire.Error{Code: wire.ProtocolError, Reason: "frame after a Close"}
	errInflate     = &wire.Error{Code: wire.InvalidFramePayloadData, Reason: "invalid compressed data"}
)

// check checks the rules about the mask, the reserved bits and the sequence.
func (e *explainer) check(h wire.Header, broken func(err error, section string)) {
	switch {
	case e.options.from == "client" && !h.Masked:
		broken(errMaskMissing, "RFC 6455, Section 5.1")
	case e.options.from == "server" && h.Masked:
		broken(errMaskPresent, "RFC 6455, Section 5.1")
	}
	if h.RSV&(wire.RSV2|wire.RSV3) != 0 {
		broken(errReservedBit, "RFC 6455, Section 5.2")
	}
	switch rsv1 := h.RSV&wire.RSV1 != 0; {
	case rsv1 && h.Opcode.IsControl():
		broken(errControlRSV1, "RFC 7692, Section 6.1")
	case rsv1 && h.Opcode == wire.Continuation:
		broken(errLateRSV1, "RFC 7692, Section 6.1")
	}
	if e.over {
		broken(errAfterClose, "RFC 6455, Section 5.5.1")
	}
	switch {
	case h.Opcode == wire.Continuation && e.first == wire.Continuation:
		broken(errNoMessage, "RFC 6455, Section 5.4")
	case h.Opcode.IsData() && e.first != wire.Continuation:
		broken(errInterleaved, "RFC 6455, Section 5.4")
	}
}

// assemble adds a data frame to its message. At the end of the message it
// checks the text, and decompresses.
func (e *explainer) assemble(r *frameReport, h wire.Header, payload []byte, broken func(err error, section string)) {
	if h.Opcode.IsData() {
		e.first, e.compressed, e.message = h.Opcode, h.RSV&wire.RSV1 != 0, nil
		e.utf8.Reset()
	}
	if e.compressed {
		e.message = append(e.message, payload...)
	} else if e.first == wire.Text && (e.utf8.Check(payload) >= 0 || h.Fin && !e.utf8.Complete()) {
		broken(wire.ErrInvalidUTF8, sections[wire.ErrInvalidUTF8])
		e.utf8.Reset()
	}
	if !h.Fin {
		return
	}
	if e.compressed {
		if text, err := e.inflate(); err != nil {
			broken(err, "RFC 7692, Section 7.2.2")
		} else {
			r.Inflated = &text
			if e.first == wire.Text && !utf8.ValidString(text) && len(text) < maxInflated {
				broken(wire.ErrInvalidUTF8, sections[wire.ErrInvalidUTF8])
			}
		}
	}
	e.first, e.compressed, e.message = wire.Continuation, false, nil
}

// inflate returns the decompressed message, at most maxInflated bytes of it.
func (e *explainer) inflate() (string, error) {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // RFC 7692, Section 7.2.2, and an empty last block
	fr := flate.NewReaderDict(io.MultiReader(bytes.NewReader(e.message), strings.NewReader(tail)), e.window)
	text, err := io.ReadAll(io.LimitReader(fr, maxInflated))
	if err != nil {
		return "", errInflate
	}
	const windowSize = 32 << 10
	e.window = append(e.window, text...)
	e.window = bytes.Clone(e.window[max(0, len(e.window)-windowSize):])
	return string(text), nil
}

// show writes a report.
func (e *explainer) show(r *frameReport) error {
	if e.options.json {
		return writeJSONLine(e.out, r)
	}
	var b strings.Builder
	bit := func(set bool) int {
		if set {
			return 1
		}
		return 0
	}
	fmt.Fprintf(&b, "%-7d header   %s\n", r.Offset, spaced(r.Header))
	fmt.Fprintf(&b, "        FIN %d, RSV1 %d, RSV2 %d, RSV3 %d, opcode %s", bit(r.FIN), bit(r.RSV1), bit(r.RSV2), bit(r.RSV3), strings.TrimPrefix(r.Opcode, "opcode "))
	switch {
	case !r.FIN:
		b.WriteString(" (more frames of the message follow)")
	case r.Opcode == "continuation":
		b.WriteString(" (the last frame of its message)")
	}
	if r.RSV1 {
		b.WriteString(", compressed if permessage-deflate is negotiated")
	}
	b.WriteString("\n")
	if r.Key != "" {
		fmt.Fprintf(&b, "        mask     %s\n", spaced(r.Key))
	}
	if r.Length != nil {
		fmt.Fprintf(&b, "        length   %d bytes\n", *r.Length)
	}
	switch {
	case r.Text != nil:
		fmt.Fprintf(&b, "        payload  %q\n", shortened(*r.Text))
	case r.Data != nil && len(*r.Data) > 0:
		fmt.Fprintf(&b, "        payload  %s\n", hexPreview(*r.Data))
	}
	if r.Inflated != nil {
		fmt.Fprintf(&b, "        inflated %d bytes: %q\n", len(*r.Inflated), shortened(*r.Inflated))
	}
	if r.Code != 0 {
		fmt.Fprintf(&b, "        close    %v, reason %q\n", wire.StatusCode(r.Code), r.Reason)
	}
	if r.Missing > 0 {
		fmt.Fprintf(&b, "        INCOMPLETE: at least %d bytes are missing\n", r.Missing)
	}
	for _, broken := range r.Errors {
		fmt.Fprintf(&b, "        ERROR: %s (%s); the receiver closes with %v\n", broken.Rule, broken.Section, wire.StatusCode(broken.Code))
	}
	_, err := io.WriteString(e.out, b.String())
	return err
}

// shortened returns a text for a terminal, cut after 1000 bytes.
func shortened(s string) string {
	const most = 1000
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// spaced returns a hexadecimal text with spaces between the bytes.
func spaced(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 2 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s[i:min(i+2, len(s))])
	}
	return b.String()
}
