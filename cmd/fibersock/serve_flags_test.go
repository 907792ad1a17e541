package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// serving is a running `fibersock serve`.
type serving struct {
	notes *lineWriter
	stop  func() exitCode
}

// startServing runs `fibersock serve` with the arguments for the rest of the
// test.
func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, interrupt := context.WithCancel(context.Background())
	s := &serving{notes: newLineWriter()}
	code := make(chan exitCode, 1)
	go func() {
		code <- run(ctx, append([]string{"serve"}, args...), strings.NewReader(""), io.Discard, s.notes)
	}()
	stopped := false
	s.stop = func() exitCode {
		if stopped {
			return exitOK
		}
		stopped = true
		interrupt()
		return <-code
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// httpGet returns the response to a request and its body.
func httpGet(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	check.Must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	check.Must(t, err)
	return r, string(body)
}

func TestCommandLineOfServe(t *testing.T) {
	for args, want := range map[string]string{
		"serve now":                     `not "now"`,
		"serve 70000":                   `not "70000"`,
		"serve 1 2":                     `not "2"`,
		"serve -addr :1 2":              `not "2"`,
		"serve -addr :1 -unix x":        "one of them",
		"serve -exec-max 3":             "-exec-max needs -exec",
		"serve -exec x -exec-max 0":     "above 0",
		"serve -tls -tls-key x":         "go together",
		"serve -static /does/not/exist": "/does/not/exist",
	} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	for arg, want := range map[string]string{"9000": "localhost:9000", "0.0.0.0:1": "0.0.0.0:1", ":http": ":http", "[::1]:1": "[::1]:1", "a": "", "a:": "", "-1": ""} {
		if addr, ok := addressOf(arg); ok != (want != "") || ok && addr != want {
			t.Errorf("%s: %q, %v", arg, addr, ok)
		}
	}
}

func TestServeOnAPortOfItsArgument(t *testing.T) {
	s := startServing(t, "-json", "127.0.0.1:0")
	addr := strings.TrimSuffix(s.notes.await(t, "serving http://"), "/")
	check.OK(t, dial(t, "ws://"+addr+"/echo", nil).Close(wire.NormalClosure, ""))
	var open struct{ Msg, Path string }
	if line := s.notes.await(t, "{"); json.Unmarshal([]byte("{"+line), &open) != nil || open.Msg != "open" || open.Path != "/echo" {
		t.Errorf("the log is %q", line)
	}
	check.Equal(t, s.stop(), exitOK, "exit code")
}

// -tls makes a certificate, which clients that do not verify it accept, and
// prints its fingerprint, which check shows.
func TestServeWithASelfSignedCertificate(t *testing.T) {
	s := startServing(t, "-tls", "127.0.0.1:0")
	sum := s.notes.await(t, "its SHA-256 is ")
	hint := s.notes.await(t, "fibersock connect -k wss://")
	addr, ok := strings.CutSuffix(hint, "/echo")
	if !ok || s.notes.await(t, "serving https://") != addr+"/" {
		t.Errorf("the hint is %q", hint)
	}
	code, report := checkReport(t, "-k", "wss://"+addr+"/echo")
	if code != exitOK || report.TLS.SHA256 != sum || !slices.Contains(report.TLS.Names, "localhost") || !slices.Contains(report.TLS.Names, "::1") {
		t.Errorf("exit code %d, %+v", code, report.TLS)
	}
	if code, report := checkReport(t, "wss://"+addr+"/echo"); code != exitTLS || report.Problem.Kind != "certificate-self-signed" {
		t.Errorf("verified: exit code %d, %+v", code, report.Problem)
	}
	first, err := selfSigned("10.0.0.1")
	check.Must(t, err)
	second, err := selfSigned("dev.example")
	check.Must(t, err)
	if fingerprint(first) == fingerprint(second) || !bytes.Contains(second.Certificate[0], []byte("dev.example")) || !bytes.Contains(first.Certificate[0], []byte{10, 0, 0, 1}) {
		t.Error("the certificates are alike, or have no name")
	}
}

func TestServeOnAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := startServing(t, "-unix", path)
	s.notes.await(t, "serving http://localhost/ at the unix socket "+path)
	if code, report := checkReport(t, "-unix", path, "ws://localhost/echo"); code != exitOK {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if r := runWith(t, nil, "serve", "-unix", path); r.code != exitUnreachable {
		t.Errorf("the socket is in use: %+v", r)
	}
	check.Equal(t, s.stop(), exitOK, "exit code")

	// A killed process leaves its socket behind.
	left, err := net.Listen("unix", path)
	check.Must(t, err)
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	startServing(t, "-unix", path).notes.await(t, "serving ")

	file := filepath.Join(t.TempDir(), "file")
	check.Must(t, os.WriteFile(file, []byte("precious"), 0o600))
	if r := runWith(t, nil, "serve", "-unix", file); r.code != exitUnreachable {
		t.Errorf("a file: %+v", r)
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

func TestServeStaticFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"page/app.js": "let x", ".env": "secret", "page/.git/config": "secret", "outside": "secret"} {
		check.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		check.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	links := true
	for name, target := range map[string]string{
		"link": "../outside", "absolute": filepath.Join(dir, "page/app.js"), "hidden": ".git/config", "hiddendir": ".git", "twice": "hidden",
		"up": "sub/../.git/config", "loop": "loop", "good": "sub/../app.js", "sub/good": "../app.js", "subdir": "./sub",
	} {
		check.Must(t, os.MkdirAll(filepath.Join(dir, "page/sub"), 0o700))
		links = os.Symlink(target, filepath.Join(dir, "page", name)) == nil && links
	}
	addr, _ := startServe(t, "-static", filepath.Join(dir, "page"))
	url := "http://" + addr
	if r, body := httpGet(t, url+"/app.js"); r.StatusCode != 200 || body != "let x" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v, %q", r, body)
	}
	if r, body := httpGet(t, url+"/"); r.StatusCode != 200 || !strings.Contains(body, "app.js") || strings.Contains(body, ".git") {
		t.Errorf("the list: %v, %q", r.Status, body)
	}
	for _, path := range []string{"/.git/config", "/../.env", "/%2e%2e/.env", "/..%2foutside", "/none", "/app.js%00"} {
		if r, body := httpGet(t, url+path); r.StatusCode == 200 && !strings.Contains(body, "app.js") || strings.Contains(body, "secret") {
			t.Errorf("%s: %v, %q", path, r.Status, body)
		}
	}
	if links {
		for _, path := range []string{"/link", "/absolute", "/hidden", "/hiddendir/", "/hiddendir/config", "/twice", "/up", "/loop"} {
			if r, body := httpGet(t, url+path); r.StatusCode != 404 || strings.Contains(body, "secret") {
				t.Errorf("the link %s: %v, %q", path, r.Status, body)
			}
		}
		for _, path := range []string{"/good", "/sub/good", "/subdir/good"} {
			if r, body := httpGet(t, url+path); r.StatusCode != 200 || body != "let x" {
				t.Errorf("the link %s: %v, %q", path, r.Status, body)
			}
		}
		var listed []string
		_, body := httpGet(t, url+"/")
		for _, line := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			listed = append(listed, line[1])
		}
		if want := []string{"app.js", "good", "sub/", "subdir"}; !slices.Equal(listed, want) {
			t.Errorf("the list has %q, want %q", listed, want)
		}
	}
	c := dial(t, "ws://"+addr+"/echo", nil)
	check.OK(t, c.SendText("beside"))
	receive(t, c, wire.Text, "beside")
}

// openedFS records the names that are opened.
type openedFS struct {
	fstest.MapFS
	opened []string
}

func (o *openedFS) Open(name string) (fs.File, error) {
	o.opened = append(o.opened, name)
	return o.MapFS.Open(name)
}

// A named pipe is never opened: open(2) would block.
func TestServeStaticOpensNoPipesAndDevices(t *testing.T) {
	files := &openedFS{MapFS: fstest.MapFS{
		"file":   {Data: []byte("text")},
		"pipe":   {Mode: fs.ModeNamedPipe},
		"socket": {Mode: fs.ModeSocket},
		"disk":   {Mode: fs.ModeDevice},
		"tty":    {Mode: fs.ModeDevice | fs.ModeCharDevice},
	}}
	for name := range files.MapFS {
		f, err := visibleFS{files}.Open(name)
		if f != nil {
			f.Close()
		}
		if (name == "file") != (err == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !slices.Equal(files.opened, []string{"file"}) {
		t.Errorf("opened: %q", files.opened)
	}
}

var (
	metricComment = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	metricLine    = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+)\} ([0-9]+)$`)
)

// parseMetrics checks the text format and returns the values by name and
// labels.
func parseMetrics(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values, families, kind, help := map[string]float64{}, map[string]bool{}, "", ""
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line has no end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if c := metricComment.FindStringSubmatch(line); c != nil {
			switch {
			case c[1] == "HELP" && families[c[2]]:
				t.Errorf("%s occurs twice", c[2])
			case c[1] == "HELP":
				families[c[2]], help = true, c[2]
			case help != c[2] || !slices.Contains([]string{"gauge", "counter"}, c[3]):
				t.Errorf("%q follows the help of %s", line, help)
			default:
				kind = c[3]
			}
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil || m[1] != help {
			t.Errorf("%q is no sample of %s", line, help)
			continue
		}
		if strings.HasSuffix(m[1], "_total") != (kind == "counter") {
			t.Errorf("the %s is called %s", kind, m[1])
		}
		key := m[1] + "{" + m[2] + "}"
		if _, twice := values[key]; twice {
			t.Errorf("%s occurs twice", key)
		}
		values[key], _ = strconv.ParseFloat(m[4], 64)
	}
	return values
}

func TestMetrics(t *testing.T) {
	addr, _ := startServe(t, "-metrics", "-compression", "off")
	c := dial(t, "ws://"+addr+"/echo", nil)
	for range 3 {
		check.OK(t, c.SendText("12345"))
		receive(t, c, wire.Text, "12345")
	}
	r, text := httpGet(t, "http://"+addr+"/metrics")
	check.Equal(t, r.Header.Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8", "Content-Type")
	values := parseMetrics(t, text)
	for key, want := range map[string]float64{
		`fibersock_connections_open{endpoint="/echo"}`:                          1,
		`fibersock_connections_open{endpoint="/chat"}`:                          0,
		`fibersock_handshakes_total{endpoint="/echo",result="accepted"}`:        1,
		`fibersock_messages_total{endpoint="/echo",direction="received"}`:       3,
		`fibersock_payload_bytes_total{endpoint="/echo",direction="sent"}`:      15,
		`fibersock_closes_total{endpoint="/chat",direction="sent",code="1000"}`: 0,
	} {
		if got, ok := values[key]; !ok || got != want {
			t.Errorf("%s is %v, %v; want %v", key, got, ok, want)
		}
	}
	if plain, _ := startServe(t); true {
		if r, _ := httpGet(t, "http://"+plain+"/metrics"); r.StatusCode != 404 {
			t.Errorf("without -metrics: %v", r.Status)
		}
	}
}

// Each number of server.Stats changes one sample.
func TestMetricsHaveAllStatistics(t *testing.T) {
	render := func(s *server.Stats) map[string]float64 {
		values := map[string]float64{}
		for _, f := range metricFamilies {
			for _, sample := range f.samples(s) {
				values[fmt.Sprint(f.name, sample.labels)] = sample.value
			}
		}
		return values
	}
	zero, seen := render(new(server.Stats)), map[string]bool{}
	var visit func(v reflect.Value, name string, s *server.Stats)
	visit = func(v reflect.Value, name string, s *server.Stats) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				visit(v.Field(i), name+"."+v.Type().Field(i).Name, s)
			}
			return
		case reflect.Int64:
			v.SetInt(7)
		case reflect.Uint64:
			v.SetUint(7)
		default:
			t.Fatalf("%s is a %s", name, v.Kind())
		}
		changed := 0
		for key, value := range render(s) {
			if value != zero[key] {
				changed++
				seen[key] = true
			}
		}
		if changed != 1 {
			t.Errorf("%s changes %d samples", name, changed)
		}
		v.SetZero()
	}
	s := new(server.Stats)
	visit(reflect.ValueOf(s).Elem(), "Stats", s)
	if len(seen) != len(zero) {
		t.Errorf("%d samples of %d change", len(seen), len(zero))
	}
}

func TestMetricsAreEscaped(t *testing.T) {
	var b strings.Builder
	family(&b, "a", "gauge", "one \\ two\nthree \"four\"")
	sampleLine(&b, "a", []string{"x", "one \\ \"two\"\nthree", "y", "é"}, 1e20)
	want := "# HELP a one \\\\ two\\nthree \"four\"\n# TYPE a gauge\na{x=\"one \\\\ \\\"two\\\"\\nthree\",y=\"é\"} 100000000000000000000\n"
	check.Equal(t, b.String(), want, "text")
}
