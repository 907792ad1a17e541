package conform

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// testeeOffer is the offer of a testee as a client. It allows a server all parameters.
const testeeOffer = "permessage-deflate; client_max_window_bits"

// A testeeAgreement is the result of the negotiation of compression, for each direction: RFC 7692, 7.1.
type testeeAgreement struct {
	sendAlone    bool // no context takeover in sent messages
	receiveAlone bool
	sendBits     int // the window of sent messages has 1<<sendBits bytes
	receiveBits  int
}

// A testeeParam is a parameter of an extension, such as {"client_max_window_bits", "9"}.
type testeeParam struct{ name, value string }

// testeeExtensions splits the values of Sec-WebSocket-Extensions into extensions, each with its name as the first
// element.
func testeeExtensions(values []string) (all [][]testeeParam) {
	for _, extension := range strings.Split(strings.Join(values, ","), ",") {
		var params []testeeParam
		for _, param := range strings.Split(extension, ";") {
			name, value, _ := strings.Cut(param, "=")
			params = append(params, testeeParam{strings.TrimSpace(name), strings.Trim(value, "\" \t")})
		}
		if params[0].name != "" {
			all = append(all, params)
		}
	}
	return all
}

// testeeAcceptOffer is the server's part: the first offer of permessage-deflate that is valid is agreed to, with
// its demands on the server and without demands on the client. The answer is the response's header field, ""
// for none.
func testeeAcceptOffer(values []string) (a *testeeAgreement, answer string) {
	for _, offer := range testeeExtensions(values) {
		a := &testeeAgreement{sendBits: 15, receiveBits: 15}
		answer := "permessage-deflate"
		valid := offer[0].name == answer
		for _, p := range offer[1:] {
			switch p.name {
			case "server_no_context_takeover":
				a.sendAlone = true
				answer += "; server_no_context_takeover"
			case "server_max_window_bits":
				a.sendBits = testeeBits(p.value)
				answer += "; server_max_window_bits=" + p.value
			case "client_no_context_takeover", "client_max_window_bits": // the client's abilities
			default:
				valid = false
			}
		}
		if valid && a.sendBits != 0 {
			return a, answer
		}
	}
	return nil, ""
}

// testeeAgreed is the client's part: it reads the server's answer to testeeOffer.
func testeeAgreed(values []string) (*testeeAgreement, error) {
	extensions := testeeExtensions(values)
	if len(extensions) == 0 {
		return nil, nil
	}
	a := &testeeAgreement{sendBits: 15, receiveBits: 15}
	if len(extensions) > 1 || extensions[0][0].name != "permessage-deflate" {
		return nil, fmt.Errorf("testee: not offered: %q", values)
	}
	for _, p := range extensions[0][1:] {
		switch p.name {
		case "server_no_context_takeover":
			a.receiveAlone = true
		case "client_no_context_takeover":
			a.sendAlone = true
		case "server_max_window_bits":
			a.receiveBits = testeeBits(p.value)
		case "client_max_window_bits":
			a.sendBits = testeeBits(p.value)
		default:
			return nil, fmt.Errorf("testee: unknown parameter in %q", values)
		}
	}
	if a.sendBits == 0 || a.receiveBits == 0 {
		return nil, fmt.Errorf("testee: window bits in %q", values)
	}
	return a, nil
}

// testeeBits returns the value of a window parameter, 0 if it is not one.
func testeeBits(value string) int {
	if n, err := strconv.Atoi(value); err == nil && n >= 8 && n <= 15 {
		return n
	}
	return 0
}

// A testeeCompression is permessage-deflate on one connection.
type testeeCompression struct {
	agreed   testeeAgreement
	deflater *flate.Writer
	deflated bytes.Buffer
	inflater io.ReadCloser
	window   []byte // the last inflated bytes, at least the window
}

// compress begins permessage-deflate as agreed; nil: there is none.
func (s *testeeSession) compress(a *testeeAgreement) {
	if a != nil && s.agreed != nil {
		a = s.agreed(*a)
	}
	if a != nil {
		s.comp = &testeeCompression{agreed: *a}
	}
}

// deflate compresses a message. compress/flate knows one window, of 32 KiB; for a smaller one it may look for no
// matches at all.
func (c *testeeCompression) deflate(p []byte) []byte {
	level := flate.BestSpeed
	if c.agreed.sendBits < 15 {
		level = flate.HuffmanOnly
	}
	c.deflated.Reset()
	if c.deflater == nil {
		c.deflater, _ = flate.NewWriter(&c.deflated, level) // cannot fail with a level that exists
	} else if c.agreed.sendAlone {
		c.deflater.Reset(&c.deflated)
	}
	c.deflater.Write(p)
	c.deflater.Flush()
	return bytes.TrimSuffix(bytes.Clone(c.deflated.Bytes()), []byte("\x00\x00\xff\xff"))
}

// inflate is deflate's opposite.
func (c *testeeCompression) inflate(p []byte) ([]byte, error) {
	if c.agreed.receiveAlone {
		c.window = nil
	}
	window := c.window[max(0, len(c.window)-1<<c.agreed.receiveBits):]
	// The bytes that the sender removes, and an empty last block, which ends the data for compress/flate.
	tail := "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	from := io.MultiReader(bytes.NewReader(p), strings.NewReader(tail))
	if c.inflater == nil {
		c.inflater = flate.NewReaderDict(from, window)
	} else if err := c.inflater.(flate.Resetter).Reset(from, window); err != nil {
		return nil, err
	}
	message, err := io.ReadAll(io.LimitReader(c.inflater, testeeTooBig+1))
	if err != nil {
		return nil, err
	}
	if len(message) > testeeTooBig {
		return nil, errors.New("testee: too big a message")
	}
	c.window = append(c.window, message...)
	if end := c.window[max(0, len(c.window)-1<<c.agreed.receiveBits):]; len(c.window) > 4*len(end) {
		c.window = bytes.Clone(end)
	}
	return message, nil
}
