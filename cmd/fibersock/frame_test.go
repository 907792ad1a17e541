package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// frameReports runs `fibersock frame -json`.
func frameReports(t *testing.T, args ...string) (exitCode, []frameReport) {
	t.Helper()
	r := runWith(t, strings.NewReader(""), append([]string{"frame", "-json"}, args...)...)
	var reports []frameReport
	for line := range strings.Lines(r.out) {
		var f frameReport
		check.Must(t, json.Unmarshal([]byte(line), &f))
		reports = append(reports, f)
	}
	if r.err != "" {
		t.Errorf("%v: %s", args, r.err)
	}
	return r.code, reports
}

// The examples of RFC 6455, Section 5.7.
func TestFramesOfTheRFC(t *testing.T) {
	for input, want := range map[string]string{
		"81 05 48 65 6c 6c 6f":                            "FIN 1, RSV1 0, RSV2 0, RSV3 0, opcode text\n        length   5 bytes\n        payload  \"Hello\"\n",
		"818537fa213d7f9f4d5158":                          "mask     37 fa 21 3d\n        length   5 bytes\n        payload  \"Hello\"\n",
		"0x01 0x03 0x48,0x65,0x6c 80:02:6c:6f":            "5       header   80 02\n        FIN 1, RSV1 0, RSV2 0, RSV3 0, opcode continuation (the last frame of its message)\n        length   2 bytes\n        payload  \"lo\"\n",
		"89 05 48 65 6c 6c 6f":                            "opcode ping\n",
		"82 7e 01 00" + strings.Repeat(" 07", 256):        "header   82 7e 01 00\n",
		"88 05 03 e8 62 79 65":                            "close    1000 (normal closure), reason \"bye\"\n",
		"88 00":                                           "close    1005 ",
		"c1 07 f2 48 cd c9 c9 07 00":                      "inflated 5 bytes: \"Hello\"\n", // RFC 7692, Section 7.2.3.1
		"c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00": "9       header   c1 05\n",      // and 7.2.3.2
		"81 06 1b 5b 32 4a 0a 41":                         `payload  "\x1b[2J\nA"`,
	} {
		if r := runWith(t, nil, append([]string{"frame"}, strings.Fields(input)...)...); r.code != exitOK || r.err != "" || !strings.Contains(r.out, want) {
			t.Errorf("%.40s: %d, %s%s; want %q", input, r.code, r.out, r.err, want)
		}
	}
}

func TestFramesOfInput(t *testing.T) {
	raw := "\x81\x05Hello"
	for args, in := range map[string]string{
		"frame":         hex.EncodeToString([]byte(raw)) + "\n",
		"frame -base64": base64.StdEncoding.EncodeToString([]byte(raw)) + "\n",
		"frame -raw":    raw,
	} {
		if r := runWith(t, strings.NewReader(in), strings.Fields(args)...); r.code != exitOK || !strings.Contains(r.out, `"Hello"`) {
			t.Errorf("%s: %+v", args, r)
		}
	}
	for args, want := range map[string]string{
		"frame xyz":           "invalid byte",
		"frame -base64 !":     "illegal base64",
		"frame":               "no bytes",
		"frame -raw 81":       "no arguments",
		"frame -raw -base64":  "one of them",
		"frame -from proxy 8": "client or server",
	} {
		if r := runWith(t, strings.NewReader(""), strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	if code := run(t.Context(), []string{"frame", "8100"}, nil, brokenWriter{}, new(bytes.Buffer)); code != exitUsage {
		t.Errorf("standard output is closed: exit code %d", code)
	}
}

// Each broken rule is named with its section.
func TestFramesThatBreakRules(t *testing.T) {
	for input, want := range map[string]string{
		"83 00":                       "reserved opcode|RFC 6455, Section 5.2",
		"09 00":                       "fragmented control frame|RFC 6455, Section 5.5",
		"89 7e 00 7e":                 "control frame payload over 125 bytes|RFC 6455, Section 5.5",
		"82 7e 00 05":                 "payload length not in its shortest form|RFC 6455, Section 5.2",
		"82 7f 80 00 00 00 00 00 00":  "most significant bit of payload length set|RFC 6455, Section 5.2",
		"88 01 03":                    "close payload of one byte|RFC 6455, Section 5.5.1",
		"88 02 03 ed":                 "status code not allowed in a close frame|RFC 6455, Section 7.4",
		"88 03 03 e8 ff":              "invalid UTF-8|RFC 6455, Section 8.1",
		"81 01 ff":                    "invalid UTF-8|RFC 6455, Section 8.1",
		"01 01 c3 80 00":              "invalid UTF-8|RFC 6455, Section 8.1",
		"-from client 81 00":          "frame from a client is not masked|RFC 6455, Section 5.1",
		"-from server 81 80 01020304": "frame from a server is masked|RFC 6455, Section 5.1",
		"a1 00":                       "reserved bit RSV2 or RSV3 set, which no extension in use defines|RFC 6455, Section 5.2",
		"c9 00":                       "RSV1 on a control frame|RFC 7692, Section 6.1",
		"41 00 c0 01 00":              "RSV1 not on the first frame of a message|RFC 7692, Section 6.1",
		"80 00":                       "continuation frame without a message|RFC 6455, Section 5.4",
		"01 00 81 00":                 "new message inside a fragmented message|RFC 6455, Section 5.4",
		"88 00 81 00":                 "frame after a Close|RFC 6455, Section 5.5.1",
		"c1 02 ff ff":                 "invalid compressed data|RFC 7692, Section 7.2.2",
	} {
		code, reports := frameReports(t, strings.Fields(input)...)
		var got []string
		for _, r := range reports {
			for _, e := range r.Errors {
				got = append(got, e.Rule+"|"+e.Section)
				if e.Code != int(wire.ProtocolError) && e.Code != int(wire.InvalidFramePayloadData) {
					t.Errorf("%s: code %d", input, e.Code)
				}
			}
		}
		if code != exitFailed || strings.Join(got, "; ") != want {
			t.Errorf("%s: exit code %d, %q; want %q", input, code, got, want)
		}
	}
	r := runWith(t, nil, "frame", "83", "00")
	if !strings.Contains(r.out, "ERROR: reserved opcode (RFC 6455, Section 5.2); the receiver closes with 1002 (protocol error)\n") {
		t.Errorf("%+v", r)
	}
}

func TestFramesThatAreIncomplete(t *testing.T) {
	for input, missing := range map[string]int64{"81": 1, "82 7e 01": 1, "81 85 01 02": 1, "81 05 48 65": 3} {
		code, reports := frameReports(t, strings.Fields(input)...)
		if code != exitLost || len(reports) != 1 || reports[0].Missing != missing {
			t.Errorf("%s: exit code %d, %+v", input, code, reports)
		}
	}
	if r := runWith(t, nil, "frame", "81 05 48 65"); !strings.Contains(r.out, `"He"`) || !strings.Contains(r.out, "3 bytes are missing") {
		t.Errorf("%+v", r)
	}
	if r := runWith(t, nil, "frame", "01 00"); r.code != exitOK || !strings.Contains(r.out, "unfinished") {
		t.Errorf("%+v", r)
	}
}

// Messages with context takeover and in fragments are decompressed, and one
// that expands without end is cut.
func TestFramesThatAreCompressed(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	check.Must(t, err)
	var input []byte
	texts := []string{"one and one and one", "one and one and two", strings.Repeat("x", 2<<20)}
	for _, text := range texts {
		b.Reset()
		w.Write([]byte(text))
		w.Flush()
		p := bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
		input = wire.AppendFrame(input, wire.Header{RSV: wire.RSV1, Opcode: wire.Text, Masked: true, Key: 5}, p[:3])
		input = wire.AppendFrame(input, wire.Header{Fin: true, Opcode: wire.Ping}, nil)
		input = wire.AppendFrame(input, wire.Header{Fin: true}, p[3:])
	}
	code, reports := frameReports(t, hex.EncodeToString(input))
	if code != exitOK || len(reports) != 9 {
		t.Fatalf("exit code %d, %d frames", code, len(reports))
	}
	for i, text := range texts {
		if r := reports[3*i+2]; r.Inflated == nil || *r.Inflated != text[:min(len(text), maxInflated)] {
			t.Errorf("message %d: %+v", i, r)
		}
	}
}

// A header that breaks a rule is shown with all its fields, and a length that
// cannot be parsed is not shown as zero.
func TestFrameShowsFieldsOfABrokenHeader(t *testing.T) {
	for input, want := range map[string]string{
		"07 bb c9 ca a5 91 c3 1e":       "header   07 bb c9 ca a5 91\n        FIN 0, RSV1 0, RSV2 0, RSV3 0, opcode 0x7 (more frames of the message follow)\n        mask     c9 ca a5 91\n        length   59 bytes\n        ERROR",
		"89 7e 00 80 61":                "header   89 7e 00 80\n        FIN 1, RSV1 0, RSV2 0, RSV3 0, opcode ping\n        length   128 bytes\n        ERROR",
		"82 7f 80 00 00 00 00 00 00 00": "opcode binary\n        ERROR",
		"81":                            "opcode text\n        INCOMPLETE",
	} {
		if r := runWith(t, nil, "frame", input); !strings.Contains(r.out, want) {
			t.Errorf("%s: %+v", input, r)
		}
	}
	if r := runWith(t, nil, "frame", "-json", "83 85"); !strings.Contains(r.out, `"opcode":"opcode 0x3"`) || strings.Contains(r.out, `"length"`) {
		t.Errorf("%+v", r)
	}
	if r := runWith(t, nil, "frame", "-json", "81 00"); !strings.Contains(r.out, `"length":0`) {
		t.Errorf("%+v", r)
	}
}
