package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/cmd/fibersock/internal/diagnose"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// checkReport runs `fibersock check -json`.
func checkReport(t *testing.T, args ...string) (exitCode, *diagnose.Report) {
	t.Helper()
	r := runWith(t, strings.NewReader(""), append([]string{"check", "-json"}, args...)...)
	report := new(diagnose.Report)
	if err := json.Unmarshal([]byte(r.out), report); err != nil || r.err != "" {
		t.Fatalf("%v: %+v", err, r)
	}
	return r.code, report
}

func TestCheckOfAServerThatWorks(t *testing.T) {
	cert, key := certificate(t)
	addr, _ := startServe(t, "-tls-cert", cert, "-tls-key", key, "-subprotocol", "chat")
	url := "wss://" + addr + "/echo"

	r := runWith(t, strings.NewReader(""), "check", "-cacert", cert, "-subprotocol", "chat", url)
	if r.code != exitOK || r.err != "" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{url + "\n  ok       tcp ", "\n  ok       tls ", "\n  ok       handshake ", "\n  ok       ping ", "\n  ok       close ",
		"HTTP/1.1 101 Switching Protocols", "127.0.0.1\n", "SHA-256 ", "subprotocol  chat\n", "compression  permessage-deflate", "\nOK: the connection opened"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	code, report := checkReport(t, "-k", "-compression", "off", url)
	if code != exitOK || !report.OK || report.WebSocket.Extensions != "" || len(report.Notes) != 1 {
		t.Errorf("exit code %d, %+v", code, report)
	}
}

func TestCheckOfAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	ln, err := net.Listen("unix", path)
	check.Must(t, err)
	startServerOn(t, new(server.Server), ln)
	if code, report := checkReport(t, "-unix", path, "ws://localhost/"); code != exitOK || report.Network.Peer != path {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if code, report := checkReport(t, "-unix", path+"2", "ws://localhost/"); code != exitUnreachable || report.Problem.Kind != "no-socket" {
		t.Errorf("exit code %d, %+v", code, report)
	}
}

// The environment names a proxy, which a unix socket does without.
func TestCheckThroughTheProxyOfTheEnvironment(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	closed.Close()
	t.Setenv("HTTP_PROXY", "http://"+closed.Addr().String())
	t.Setenv("NO_PROXY", "")
	if code, report := checkReport(t, "ws://server.example/"); code != exitUnreachable || report.Problem.Kind != "proxy-closed-port" || report.Network.Proxy != "http://"+closed.Addr().String() {
		t.Errorf("exit code %d, %+v", code, report)
	}
	path := filepath.Join(t.TempDir(), "socket")
	ln, err := net.Listen("unix", path)
	check.Must(t, err)
	startServerOn(t, new(server.Server), ln)
	if code, report := checkReport(t, "-unix", path, "ws://server.example/"); code != exitOK {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if code, report := checkReport(t, "-proxy", "none", "ws://"+closed.Addr().String()+"/"); code != exitUnreachable || report.Problem.Kind != "closed-port" {
		t.Errorf("exit code %d, %+v", code, report)
	}
}

func TestExitCodesOfCheck(t *testing.T) {
	cert, key := certificate(t)
	plain, _ := startServe(t)
	secure, _ := startServe(t, "-tls-cert", cert, "-tls-key", key)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	closed.Close()
	leaves := startServer(t, &server.Server{Handler: server.Handler{Open: func(c *server.Conn) { c.Close(1000, "\x1b[2J") }}})
	for _, tt := range []struct {
		args, kind string
		code       exitCode
	}{
		{"ws://" + plain + "/echo", "", exitOK},
		{"ftp://" + plain + "/echo", "url", exitUsage},
		{"-H Upgrade:x ws://" + plain + "/echo", "usage", exitUsage},
		{"ws://" + closed.Addr().String() + "/", "closed-port", exitUnreachable},
		{"-proxy http://" + plain + " ws://server.example/", "proxy-refused", exitUnreachable},
		{"wss://" + plain + "/echo", "plain-port", exitTLS},
		{"wss://" + secure + "/echo", "certificate-self-signed", exitTLS},
		{"ws://" + secure + "/echo", "tls-port", exitRefused},
		{"ws://" + plain + "/other", "status-404", exitRefused},
		{"-origin https://evil.example ws://" + plain + "/echo", "status-403", exitRefused},
		{leaves, "closed", exitPeerClosed},
	} {
		code, report := checkReport(t, strings.Fields(tt.args)...)
		kind := ""
		if report.Problem != nil {
			kind = report.Problem.Kind
		}
		if code != tt.code || kind != tt.kind || report.OK != (tt.code == exitOK) {
			t.Errorf("check %s: exit code %d, problem %q; want %d, %q", tt.args, code, kind, tt.code, tt.kind)
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs strings.Builder
	if code := run(ctx, []string{"check", leaves}, nil, &out, &errs); code != exitInterrupted {
		t.Errorf("interrupted: exit code %d, %s", code, out.String())
	}
	r := runWith(t, nil, "check", leaves)
	if !strings.Contains(r.out, "PROBLEM (closed): ") || strings.Contains(r.out, "\x1b") {
		t.Errorf("%+v", r)
	}
	if code := run(t.Context(), []string{"check", leaves}, nil, brokenWriter{}, io.Discard); code != exitUsage {
		t.Errorf("standard output is closed: exit code %d", code)
	}
}

func TestCommandLineOfCheck(t *testing.T) {
	for args, want := range map[string]string{
		"check":                                 "one URL, not 0",
		"check ws://a ws://b":                   "one URL, not 2",
		"check -timeout 0s ws://a":              "-timeout",
		"check -unix x -proxy http://a ws://b":  "one of them",
		"check -cacert /does/not/exist wss://a": "/does/not/exist",
		"check -cacert main_test.go -k wss://a": "-insecure",
	} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	if r := runWith(t, nil, "help", "check"); r.code != exitOK || !strings.Contains(r.out, "Exit codes:") {
		t.Errorf("%+v", r)
	}
}

// An error of the library names the option HandshakeTimeout, whose flag is
// -timeout.
func TestTimeoutNamesTheFlag(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	check.Must(t, err)
	defer ln.Close()
	url := "ws://" + ln.Addr().String()
	for _, args := range [][]string{{"check"}, {"bench", "-connections", "1"}, {"bridge", "-"}, {"connect", "-x", "a"}} {
		r := runWith(t, strings.NewReader(""), slices.Concat(args[:1], []string{"-timeout", "50ms"}, args[1:], []string{url})...)
		if r.code != exitTimeout || !strings.Contains(r.out+r.err, "no open connection for 50ms (-timeout)") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
