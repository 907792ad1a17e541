//go:build !js

// Wasm is a page whose program is Go: package client, compiled to WebAssembly,
// uses the WebSocket of the browser.
//
//	go run ./examples/wasm
//
// This file is the server. It compiles main_js.go, the program of the page.
package main

import (
	_ "embed"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	flag.Parse()
	dir, err := os.MkdirTemp("", "wasm")
	if err != nil {
		log.Fatal(err)
	}
	program, glue, err := build(dir)
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	log.Fatal(http.Serve(ln, routes(program, glue)))
}

// build compiles the program of the page in dir. glue is the JavaScript that
// connects it with the page; it belongs to the version of Go.
func build(dir string) (program, glue []byte, err error) {
	file := filepath.Join(dir, "main.wasm")
	cmd := exec.Command("go", "build", "-o", file, "github.com/fibersock/fibersock/examples/wasm")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, nil, err
	}
	if program, err = os.ReadFile(file); err != nil {
		return nil, nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, nil, err
	}
	glue, err = os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	return program, glue, err
}

// routes returns the page, its program and the echo.
func routes(program, glue []byte) http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]struct {
		kind    string
		content []byte
	}{
		"/{$}":          {"text/html; charset=utf-8", page},
		"/main.wasm":    {"application/wasm", program},
		"/wasm_exec.js": {"text/javascript", glue},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file.kind)
			w.Write(file.content)
		})
	}
	mux.Handle("GET /echo", httpupgrade.Handler(&server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}))
	return mux
}
