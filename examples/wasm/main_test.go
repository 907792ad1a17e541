//go:build !js

package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
)

// The program is WebAssembly, which the browser accepts with its media type
// only. A browser runs it in the tests of interop.
func TestServerHasPageProgramAndEcho(t *testing.T) {
	program, glue, err := build(t.TempDir())
	check.Must(t, err)
	s := httptest.NewServer(routes(program, glue))
	defer s.Close()
	for path, want := range map[string]struct{ kind, part string }{
		"/":             {"text/html; charset=utf-8", "/main.wasm"},
		"/main.wasm":    {"application/wasm", "\x00asm"},
		"/wasm_exec.js": {"text/javascript", "globalThis.Go"},
	} {
		r, err := s.Client().Get(s.URL + path)
		check.Must(t, err)
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if kind := r.Header.Get("Content-Type"); err != nil || kind != want.kind || !bytes.Contains(body, []byte(want.part)) {
			t.Errorf("%s: %q, %d bytes, %v", path, kind, len(body), err)
		}
	}
	c, err := client.Dial(t.Context(), s.URL+"/echo", nil)
	check.Must(t, err)
	defer c.CloseNow()
	check.Must(t, c.SendText("hello"))
	if m, err := c.Receive(t.Context()); err != nil || m.Text() != "hello" {
		t.Errorf("received %q, %v", m.Text(), err)
	}
}
