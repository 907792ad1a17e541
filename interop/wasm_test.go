package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// TestWasm runs the client, compiled to WebAssembly, with the WebSocket of
// Chromium (WHATWG-6, WHATWG-8). The program is testdata/wasm, which calls the
// function finished with its results and runs on.
func TestWasm(t *testing.T) {
	root := goOutput(t, "env", "GOROOT")
	program := filepath.Join(t.TempDir(), "main.wasm")
	goOutput(t, "build", "-o", program, "./testdata/wasm")

	s := startWasmServer(t, root, program)
	p := startBrowser(t).open(t, s.url)
	var results string
	p.evaluate(fmt.Sprintf(`(async () => {
		const go = new Go();
		go.argv = ["main", %s, %s];
		const program = await WebAssembly.instantiateStreaming(fetch("/main.wasm"), go.importObject);
		const finished = new Promise((resolve) => { globalThis.finished = resolve; });
		const ended = go.run(program.instance).then(() => { throw new Error("the program has ended"); });
		return Promise.race([finished, ended]);
	})()`, js(webSocketURL(s.url)), js(webSocketURL(s.secureURL))), &results)
	s.check(t, results)
}

// goOutput runs the go command for js/wasm and returns its standard output.
func goOutput(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	check.Mustf(t, err, "%s", &complaints)
	return strings.TrimSpace(string(out))
}

// A wasmServer serves the program and the endpoints of its scenarios.
type wasmServer struct {
	url, secureURL string      // http and https
	closes         chan string // codes and reasons of clients of /record
}

func startWasmServer(t *testing.T, root, program string) *wasmServer {
	s := &wasmServer{closes: make(chan string, 100)}
	over := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><script src="/wasm_exec.js"></script>`)
	})
	for path, file := range map[string]string{"/wasm_exec.js": filepath.Join(root, "lib/wasm/wasm_exec.js"), "/main.wasm": program} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	outer, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	s.url, s.secureURL = outer.URL, secure.URL
	var servers []*server.Server
	for path, h := range map[string]server.Handler{
		"/echo":   {Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		"/cut":    {Message: func(c *server.Conn, _ wire.Opcode, _ []byte) { c.CloseNow() }},
		"/record": {Close: s.record},
		"/stall":  {Serve: func(*server.Conn) { <-over }},
		"/close": {Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
			code, reason, _ := strings.Cut(string(p), " ")
			var number int
			fmt.Sscan(code, &number)
			c.Close(wire.StatusCode(number), reason)
		}},
	} {
		ws := &server.Server{Handler: h, Origins: []string{s.url}, Subprotocols: []string{"chat"}, Compression: &permessage.Deflate{}}
		servers = append(servers, ws)
		mux.Handle(path, httpupgrade.Handler(ws))
	}
	t.Cleanup(func() {
		close(over)
		for _, ws := range servers {
			cut(ws)
		}
		outer.Close()
		secure.Close()
	})
	return s
}

func (s *wasmServer) record(_ *server.Conn, code wire.StatusCode, reason string) {
	s.closes <- fmt.Sprintf("%d %s", int(code), reason)
}

// webSocketURL returns the ws or wss URL for an http or https URL.
func webSocketURL(url string) string { return "ws" + strings.TrimPrefix(url, "http") }

// wasmScenarios is the number of scenarios in testdata/wasm.
const wasmScenarios = 20

// check reports the scenarios that failed, and compares the codes that /record
// received.
func (s *wasmServer) check(t *testing.T, results string) {
	t.Helper()
	var scenarios map[string]string
	check.Mustf(t, json.Unmarshal([]byte(results), &scenarios), "%s", results)
	for name, err := range scenarios {
		t.Run(name, func(t *testing.T) {
			if err != "" {
				t.Error(err)
			}
		})
	}
	if len(scenarios) != wasmScenarios {
		t.Errorf("%d scenarios ran, want %d", len(scenarios), wasmScenarios)
	}
	want := []string{"1000 Grüße, 世界", "1005 ", "1005 ", "3000 Grüße, 世界", "4999 Grüße, 世界"}
	var got []string
	for range want {
		closed, err := within(patient(t), s.closes)
		check.Must(t, err)
		got = append(got, closed)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the server received the codes %q, want %q", got, want)
	}
}
