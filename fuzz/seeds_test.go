package fuzz_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

var update = flag.Bool("update", false, "write the seed corpora under testdata")

// seedPrefix begins the names of the files that this test writes. Other files
// are findings.
const seedPrefix = "seed-"

// The seed corpora are made from the golden corpus and the bytes below, so that
// they follow when those or the form of an input change: go test -update.
func TestSeedCorporaAreCurrent(t *testing.T) {
	for target, seeds := range seedCorpora(t) {
		dir := filepath.Join("testdata", "fuzz", "Fuzz"+target)
		old, err := filepath.Glob(filepath.Join(dir, seedPrefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			for _, file := range old {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			writeSeeds(t, dir, seeds)
			continue
		}
		if len(old) != len(seeds) {
			t.Errorf("%s has %d seeds, want %d; go test -update writes them", dir, len(old), len(seeds))
		}
		for name, data := range seeds {
			if got, err := os.ReadFile(filepath.Join(dir, seedPrefix+name)); err != nil || string(got) != seedFile(data) {
				t.Errorf("%s/%s differs from its source (error %v); run go test -update", dir, name, err)
			}
		}
	}
}

func writeSeeds(t *testing.T, dir string, seeds map[string]string) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, data := range seeds {
		if err := os.WriteFile(filepath.Join(dir, seedPrefix+name), []byte(seedFile(data)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// seedFile returns data in the form of testing.F.
func seedFile(data string) string { return fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", data) }

// seedCorpora returns the seeds of each target by their names.
func seedCorpora(t *testing.T) map[string]map[string]string {
	return map[string]map[string]string{
		"Header":       numbered("", headerSeeds...),
		"Frames":       numbered("\x03\x00", frameSeeds...),
		"Mask":         maskSeeds(),
		"UTF8":         utf8Seeds(),
		"ClosePayload": numbered("", closeSeeds...),
		"Stream":       streamSeeds(t),
		"Compressed":   named(compressedSeeds),
		"Dialogue":     named(dialogueSeeds),
		"Request":      requestSeeds(),
		"Response":     responseSeeds(),
		"Opening":      named(openingSeeds),
		"Extensions":   quoted(extensionSeeds...),
		"URL":          quoted(urlSeeds...),
		"Sockets":      named(socketsSeeds),
	}
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// numbered returns hexadecimal seeds, each with a prefix.
func numbered(prefix string, list ...string) map[string]string {
	seeds := make(map[string]string)
	for i, s := range list {
		seeds[fmt.Sprintf("%02d", i)] = prefix + unhex(s)
	}
	return seeds
}

func quoted(list ...string) map[string]string {
	seeds := make(map[string]string)
	for i, s := range list {
		seeds[fmt.Sprintf("%02d", i)] = s
	}
	return seeds
}

// named returns programs, each of which is a list of parts.
func named(programs map[string][]string) map[string]string {
	seeds := make(map[string]string)
	for name, parts := range programs {
		seeds[name] = strings.Join(parts, "")
	}
	return seeds
}

var headerSeeds = []string{
	"", "81 05", "81 85 37fa213d", "82 7e 0100", "82 7f 0000000000010000", "82 fe 007d 00000000", "82 fe 007e 01020304",
	"82 ff 8000000000000000 00000000", "82 ff 7fffffffffffffff 00000000", "82 7f 0000000100000005", "82 7f 000000000000ffff",
	"09 80 00000000", "83 80 00000000", "89 fe 007e 00000000", "c1 80 00000000", "8a 7d", "88 00", "00 80 ffffffff",
}

var frameSeeds = []string{
	"81 85 37fa213d 7f9f4d5158 8a 80 00000000", "01 03 48656c 80 02 6c6f 89 05 48656c6c6f",
	"82 ff 0000000100000005 37fa213d 48656c6c6f", "82 fe 007d 00000000", "89 00 88 02 03e8 81 00", "82 7e 0080" + strings.Repeat("aa", 128),
}

// compressedSeeds are the parameters, the cuts, and messages: the way to send
// them, the text with its length, and how often it is repeated.
var compressedSeeds = map[string][]string{
	"takeover":      {"\x01\x00\x00", "\x01\x05Hello\x01", "\x01\x05Hello\x01", "\x02\x05plain\x01", "\x00\x05Hello\x40"},
	"no-takeover":   {"\x02\x01\x00", "\x01\x05Hello\x01", "\x00\x05Hello\x01", "\x03\x05Hello\xff"},
	"small-windows": {"\x00\x02\x00", "\x00\x20the quick brown fox jumps over it\xff", "\x04\x07fox dog\x09", "\x03\x03dog\xff"},
	"prepared":      {"\xff\x03\x00", "\x04\x0asome text \x20", "\x01\x0asome text \x20", "\x04\x01a\xff"},
	"foreign":       {"\x21\x04\x00", "\x01\x05Hello\x01", "\x05\x05\xf2\x00\x11\x00\x00\x01", "\x05\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x01"},
	"fragments":     {"\x01\x05\x00", "\x85\x03\xf2\x48\xcd\x01", "\x05\x00\x01"},
	"final-blocks":  {"\x01\x06\x00", "\x05\x0e\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00\x01", "\x45\x02\x03\x00\x01", "\x45\x01\x00\x01"},
	"corrupt":       {"\x00\x07\x00", "\x05\x05\xff\xff\xff\xff\xff\x01"},
}

func maskSeeds() map[string]string {
	seeds := make(map[string]string)
	for _, size := range []int{0, 1, 3, 4, 7, 8, 31, 32, 33, 64, 127, 128, 129, 300} {
		payload := strings.Repeat("0123456789", 30)[:size]
		seeds[fmt.Sprintf("%03d-bytes", size)] = unhex("37fa213d") + string([]byte{byte(size % 16), byte(size / 3), 0, byte(size / 2), 0}) + payload
	}
	return seeds
}

func utf8Seeds() map[string]string {
	seeds := make(map[string]string)
	for i, s := range []string{
		"", "Hello", "κόσμε", "日本語, and some ASCII behind", "\xed\xa0\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xe2\x82",
		"\xc0\xaf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\x80", "\xfe", "\xef\xbf\xbf", "\xf0\x90\x80",
	} {
		seeds[fmt.Sprintf("%02d-short", i)] = "\x01\x00\x01\x00" + s
		seeds[fmt.Sprintf("%02d-long", i)] = "\x21\x00\x30\x00" + strings.Repeat("plain text ", 10) + "κόσμε 日本語 𝄞" + s + "behind it"
	}
	return seeds
}

var closeSeeds = []string{
	"", "03", "03e8", "03e8 627965", "03e8 efbfbd", "03e8 c328", "03e8 e282", "03ec", "03ed", "03ee", "03f7", "0bb8", "1388", "ffff", "0000",
	"e803 00 627965", "e803 03 627965", "03e8" + strings.Repeat("61", 123), "e803 00" + strings.Repeat("61", 124),
}

// streamSeeds returns input of the golden corpus: for each role one script of
// each kind of outcome.
func streamSeeds(t *testing.T) map[string]string {
	scripts, err := corpus.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	seeds := make(map[string]string)
	known := make(map[string]bool)
	for _, s := range scripts {
		in := s.Input()
		outcome := outcome(s)
		if len(in) == 0 || len(in) > 256 || known[outcome] {
			continue
		}
		known[outcome] = true
		kind := byte(0)
		if s.Role == corpus.Server {
			kind = 1
		}
		name := fmt.Sprintf("%v-%s-%d", s.Role, strings.TrimSuffix(s.File, ".txt"), s.Line)
		seeds[name] = string([]byte{kind, 7, 0}) + string(in)
	}
	for name, in := range map[string]string{
		"text-cut-in-a-code-point":      "\x00\x07\x00\x81\x03a\xe2\x82",
		"fragment-cut-in-a-code-point":  "\x00\x07\x00\x01\x02a\xe2\x80\x02\x82\xac\x81\x01b",
		"messages-of-the-frame-limit":   "\x04\x07\x00\x82\x14" + strings.Repeat("x", 20) + "\x02\x14" + strings.Repeat("x", 20) + "\x80\x0a" + strings.Repeat("x", 10) + "\x82\x15",
		"messages-of-the-message-limit": "\x08\x07\x00\x82\x7e\x00\xc8" + strings.Repeat("x", 200) + "\x02\x7e\x00\xc8" + strings.Repeat("x", 200) + "\x80\x00\x82\x7e\x00\xc9",
		"declared-and-nothing-more":     "\x02\x07\x00\x82\x7f\x00\x00\x00\x00\x0f\xff\xff\xffabc",
		"declared-most":                 "\x03\x07\x00\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00abc",
		"two-wrong-things-in-a-header":  "\x00\x07\x00\xc9\xfe",
	} {
		seeds[name] = in
	}
	return seeds
}

// outcome returns the kinds of events and frames in a script.
func outcome(s *corpus.Script) string {
	kinds := []string{string(s.Role)}
	for _, step := range s.Steps {
		for _, e := range step.Events {
			kind := string(e.Kind)
			if e.Kind == corpus.Fail {
				kind = e.String()
			}
			if e.Kind == corpus.Message {
				kind += e.Opcode.String()
			}
			kinds = append(kinds, kind)
		}
		for range step.Out {
			kinds = append(kinds, "out")
		}
	}
	return strings.Join(kinds, " ")
}

// Programs of Dialogue: two bytes of limits, then calls. An even code is the
// client's, an odd one the server's.
var dialogueSeeds = map[string][]string{
	"both-send":        {"\x00\x00", "\x00\x14\x00", "\x01\x28\x00", "\x10\x05", "\x11\xff", "\x10\xff"},
	"fragments-pings":  {"\x00\x01", "\x06\x05", "\x0a\x02hi", "\x06\x04", "\x11\x03", "\x08\x07\x01", "\x0d\x01!", "\x10\x20"},
	"client-closes":    {"\x00\x01", "\x00\x14\x00", "\x0e\xe8\x03\x03bye", "\x00\x0a\x00", "\x0b\x01x", "\x11\xff", "\x10\xff"},
	"both-close":       {"\x00\x01", "\x0e\xe8\x03\x00", "\x0f\xb8\x0b\x01x", "\x10\x01", "\x11\x01"},
	"private-close":    {"\x00\x01", "\x0e\x87\x13\x01x", "\x11\xff", "\x10\xff"},
	"fragment-lengths": {"\x00\x01", "\x06\x4d", "\x07\x7e", "\x08\x01\x00", "\x09\xff\x01", "\x06\x00", "\x08\x00\x01"},
	"empty-close":      {"\x00\x01", "\x0f\x00\x00\x00", "\x10\xff"},
	"wrong-calls":      {"\x00\x01", "\x04\x08\x01x", "\x0e\xed\x03\x00", "\x0f\xe8\x03\x01\xff", "\x04\x01\x01\xff", "\x0a\x7e" + strings.Repeat("p", 126)},
	"frame-limit":      {"\x04\x05", "\x01\x1e\x00", "\x10\xff", "\x00\x1e\x00", "\x11\xff"},
	"message-limit":    {"\x08\x09", "\x09\xc8\x00", "\x09\x32\x01", "\x10\xff", "\x10\xff"},
	"broken-transport": {"\x00\x01", "\x16\x03", "\x00\x14\x00", "\x0a\x00", "\x11\xff"},
	"cut":              {"\x00\x01", "\x00\x64\x00", "\x11\x07", "\x16\xff"},
	"large":            {"\x02\x03", "\x02\x00\x90", "\x15\x00\x40", "\x03\x00\x90", "\x14\xff\xff", "\x15\xff\xff"},
}

// In the Request and Response corpora, the first three bytes are limits and cuts.
const (
	sampleKey     = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleRequest = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\n"
	sampleResponse = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)

func requestSeeds() map[string]string {
	seeds := map[string]string{
		"rfc": sampleRequest + "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\r\n",
		"full": strings.Replace(sampleRequest, "/chat", "/a%2Fb?x=1", 1) + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; y=\"1\"\r\n" +
			"Cookie: a=b\r\n\r\n\x81\x85",
		"minimal":        "GET / HTTP/1.1\r\n\r\n",
		"absolute":       strings.Replace(sampleRequest, "/chat", "http://[::1]:81/chat", 1) + "\r\n",
		"two-requests":   sampleRequest + "\r\n" + sampleRequest + "\r\n",
		"bare-lf":        "GET / HTTP/1.1\nHost: h\n\n",
		"folded":         sampleRequest + " folded\r\n\r\n",
		"body":           sampleRequest + "Content-Length: 5\r\n\r\nHello",
		"no-body":        sampleRequest + "Content-Length: 0\r\n\r\n",
		"chunked":        sampleRequest + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"space-in-name":  sampleRequest + "X : y\r\n\r\n",
		"expect":         sampleRequest + "Expect: 100-continue\r\n\r\n",
		"two-keys":       sampleRequest + "Sec-WebSocket-Key: " + sampleKey + "\r\n\r\n",
		"old-version":    strings.Replace(sampleRequest, "13", "8", 1) + "\r\n",
		"http-1.0":       strings.Replace(sampleRequest, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n",
		"post":           strings.Replace(sampleRequest, "GET", "POST", 1) + "\r\n",
		"lists":          strings.Replace(strings.Replace(sampleRequest, ": websocket", ": h2c ,, WebSocket", 1), ": Upgrade", ": keep-alive, upgrade", 1) + "\r\n",
		"tls":            "\x16\x03\x01\x02\x00\x01",
		"kelvin":         strings.Replace(sampleRequest, "websocket", "websoc\u212aet", 1) + "\r\n",
		"lengths":        sampleRequest + "Content-Length: 0\r\nContent-Length: 00\r\n\r\n",
		"signed-length":  sampleRequest + "Content-Length: +0\r\n\r\n",
		"length-list":    sampleRequest + "Content-Length: 0, 0\r\n\r\n",
		"other-upgrade":  strings.Replace(sampleRequest, ": websocket", ": x-websocket-of-another-kind", 1) + "\r\n",
		"other-option":   strings.Replace(sampleRequest, ": Upgrade", ": upgrade-insecure-requests", 1) + "\r\n",
		"no-host":        strings.Replace(sampleRequest, "Host", "X-Host", 1) + "\r\n",
		"two-hosts":      sampleRequest + "Host: server.example.com\r\n\r\n",
		"user-in-host":   strings.Replace(sampleRequest, "server", "user@server", 1) + "\r\n",
		"fragment":       strings.Replace(sampleRequest, "/chat", "/chat#x", 1) + "\r\n",
		"control":        sampleRequest + "X: a\x0bb\r\n\r\n",
		"empty-protocol": sampleRequest + "Sec-WebSocket-Protocol: ,\r\n\r\n",
	}
	for name, text := range seeds {
		seeds[name] = "\x00\x05\x00" + text
	}
	seeds["limited"] = "\x01\x05\x00" + sampleRequest + "\r\n"
	seeds["fields-limited"] = "\x02\x05\x00" + "GET / HTTP/1.1\r\na:\r\nb:\r\n\r\n"
	return seeds
}

func responseSeeds() map[string]string {
	seeds := map[string]string{
		"rfc":             sampleResponse + "Sec-WebSocket-Protocol: chat\r\n\r\n",
		"extensions":      sampleResponse + "Sec-WebSocket-Extensions: permessage-deflate; x, foo; y=2\r\n\r\n\x81\x00",
		"not-offered":     sampleResponse + "Sec-WebSocket-Extensions: bar\r\n\r\n",
		"wrong-protocol":  sampleResponse + "Sec-WebSocket-Protocol: Chat\r\n\r\n",
		"wrong-accept":    strings.Replace(sampleResponse, "s3pP", "S3pP", 1) + "\r\n",
		"refusal":         "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13, 8\r\nContent-Length: 2\r\n\r\nno",
		"no-reason":       strings.Replace(sampleResponse, " Switching Protocols", "", 1) + "\r\n",
		"interim":         "HTTP/1.1 100 Continue\r\n\r\n" + sampleResponse + "\r\n",
		"length":          sampleResponse + "Content-Length: 0\r\n\r\n",
		"processing":      strings.Replace(sampleResponse, "101", "102", 1) + "\r\n",
		"ok":              strings.Replace(sampleResponse, "101 Switching Protocols", "200 OK", 1) + "\r\n",
		"control":         sampleResponse + "X: a\x0bb\r\n\r\n",
		"two-accepts":     sampleResponse + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
		"chunked":         sampleResponse + "Transfer-Encoding: chunked\r\n\r\n",
		"upgrade-list":    strings.Replace(sampleResponse, ": websocket", ": websocket, x", 1) + "\r\n",
		"connection-list": strings.Replace(sampleResponse, ": Upgrade", ": x, UPGRADE", 1) + "\r\n",
		"http-1.0":        strings.Replace(sampleResponse, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n",
	}
	for name, text := range seeds {
		seeds[name] = "\x00\x09\x00" + text
	}
	return seeds
}

// text returns a string as a program has it.
func text(s string) string { return string(rune(len(s))) + s }

// openingSeeds are programs of Opening, which begin with a byte of flags.
var openingSeeds = map[string][]string{
	"plain":       {"\x00\x00"},
	"host-target": {"\x03", text("[::1]:81"), text("/a?b"), "\x00"},
	"subprotocol": {"\x10", text("chat"), text("superchat"), "\x01"},
	"extension":   {"\x20", text("foo"), "\x02", text("x"), text("1"), "\x04"},
	"header":      {"\x80", text("Origin"), text("http://h"), text(" a b "), "\x10", text("Set-Cookie"), text("a=b"), text("")},
	"injection":   {"\x80", text("X"), text("a\r\nY: b"), text(""), "\x00"},
	"in-host":     {"\x01", text("h\r\nX: y"), "\x00"},
	"in-target":   {"\x02", text("/ HTTP/1.1\r\n"), "\x00"},
	"upgrade":     {"\x80", text("upgrade"), text("x"), text("y"), "\x00"},
	"key-field":   {"\x80", text("sec-websocket-key"), text("x"), text("y"), "\x00"},
	"chunked":     {"\x80", text("Transfer-encoding"), text("chunked"), text(""), "\x00"},
	"length":      {"\x80", text("CONTENT-LENGTH"), text("5"), text(""), "\x00"},
	"own-field":   {"\x80", text("Upgrade"), text("x"), text("y"), "\x00"},
	"not-offered": {"\x08", text("chat"), "\x0a", text("other"), text("bar"), "\x00"},
	"expect":      {"\x80", text("Expect"), text("100-continue"), text(""), "\x00"},
	"key":         {"\x04", text(sampleKey), "\x00"},
	"bad-key":     {"\x04", text("AAAA"), "\x00"},
}

var extensionSeeds = []string{
	"", "foo", "a; b=1; c, a", `a; b="\1\0"`, `a; b="c,d"`, `a; b="c`, ";=", ",, a ,", "a ; b = c , d", `a; b=""`, `a; b="\"`, `a; b="c\\"`, `a; b="\c"d`, "a b", "a; b=",
	"permessage-deflate; client_max_window_bits; server_max_window_bits=10", "a;" + strings.Repeat("b;", 127) + "b", strings.Repeat("a,", 128),
}

var urlSeeds = []string{
	"ws://h", "WSS://u:p@H:81/a b?%2f", "ws://[fe80::1%25Eth0]:81/?", "http://h/ü", "ws://h#", "ws://h:0/", "ws://h:65536", "ws://user:secret@h:x/", "ws://a@b@c/",
	"wss://example.com:443/chat?x=1#f", "ws://[::ffff:1.2.3.4]/", "ws://h\\@x/", "ws://h:080/", "ftp://h/", "ws:///x", "ws://h?a@b", "ftp://h?a@b", "ws://h/\n@", "https://bücher.example/",
}

// socketsSeeds are programs of Sockets: the low bits of a byte select the call, bit 4
// the name.
var socketsSeeds = map[string][]string{
	"echo":          {"\x00\x01\x00", "\x02\x05", "\x04", "\x05\x05", "\x07"},
	"not-found":     {"\x02\x01", "\x04", "\x05\x00", "\x06", "\x07"},
	"small-history": {"\x00\x03\x00", "\x02\x05", "\x02\x06", "\x02\x07", "\x05\xff", "\x04", "\x04", "\x04"},
	"byte-history":  {"\x00\x01\x05", "\x02\x01", "\x02\x02", "\x02\x09", "\x05\xff"},
	"no-history":    {"\x00\x00\x00", "\x02\x03", "\x02\x04", "\x04", "\x05\xff", "\x04"},
	"end":           {"\x00\x01\x00", "\x02\x03", "\x02\x03", "\x06", "\x02\x01", "\x05\x00", "\x07"},
	"connect-again": {"\x00\x01\x00", "\x02\x01", "\x00\x02\x00", "\x04", "\x06", "\x01\x01\x00"},
	"two-names":     {"\x00\x01\x00", "\x10\x02\x00", "\x02\x03", "\x12\x03", "\x17", "\x04"},
}
