package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

func TestPageServesOnlyItsFiles(t *testing.T) {
	addr, _ := startServe(t)
	transport := &http.Transport{DisableKeepAlives: true}
	get := func(path string) (*http.Response, string) {
		t.Helper()
		r, err := (&http.Client{Transport: transport}).Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(body)
	}

	r, index := get("/")
	if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the page: %s, %s", r.Status, r.Header.Get("Content-Type"))
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self' ws: wss:", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy is %q, without %q", policy, want)
		}
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, external := range []string{`src="http`, `href="http`, `src="//`, `href="//`} {
		if strings.Contains(index, external) {
			t.Errorf("the page refers to something elsewhere: %s", external)
		}
	}
	for path, kind := range map[string]string{
		"/app.js": "text/javascript", "/console.js": "text/javascript", "/chat.js": "text/javascript",
		"/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		if r, _ := get(path); r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %s, %s", path, r.Status, r.Header.Get("Content-Type"))
		}
	}
	if r, _ := get("/serve.go"); r.StatusCode != 404 {
		t.Errorf("something that is not there: %s", r.Status)
	}
	if r, _ := get("/echo"); r.StatusCode != 426 {
		t.Errorf("/echo without a handshake: %s", r.Status)
	}
}

// The page asks for the effect of compression on the connections of /echo.
func TestCompressionOfThePage(t *testing.T) {
	addr, _ := startServe(t)
	c := dial(t, "ws://"+addr+"/echo", &client.Config{Compression: new(permessage.Deflate)})
	text := strings.Repeat("compressible ", 100)
	check.Must(t, c.SendText(text))
	receive(t, c, wire.Text, text)
	r, err := http.Get("http://" + addr + "/echo/compression")
	check.Must(t, err)
	defer r.Body.Close()
	var got saved
	check.Must(t, json.NewDecoder(r.Body).Decode(&got))
	if got.Messages != 2 || got.Decoded != 2*uint64(len(text)) || got.Encoded == 0 || got.Encoded >= got.Decoded/10 {
		t.Errorf("%+v", got)
	}
	if kind, cache := r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"); kind != "application/json" || cache != "no-store" {
		t.Errorf("Content-Type %q, Cache-Control %q", kind, cache)
	}
}

func dial(t *testing.T, url string, cfg *client.Config) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func receive(t *testing.T, c *client.Conn, op wire.Opcode, payload string) {
	t.Helper()
	m, err := c.Receive(t.Context())
	if err != nil || m.Opcode != op || m.Text() != payload {
		t.Errorf("received %v %.40q, %v; want %v %.40q", m.Opcode, m.Payload, err, op, payload)
	}
}

// A judge names the server by this field in its report.
func TestServerHasAName(t *testing.T) {
	addr, _ := startServe(t)
	c := dial(t, "ws://"+addr+"/echo", nil)
	check.Equal(t, c.Response().Header.Get("Server"), "fibersock", "Server")
	check.OK(t, c.Close(wire.NormalClosure, ""))
}

func TestEcho(t *testing.T) {
	addr, _ := startServe(t)
	c := dial(t, "ws://"+addr+"/echo", nil)
	c.SendText("κόσμε")
	receive(t, c, wire.Text, "κόσμε")
	big := strings.Repeat("\x00\xff", 1<<19)
	c.SendBinary([]byte(big))
	receive(t, c, wire.Binary, big)
}

func TestChatReachesEverybody(t *testing.T) {
	addr, _ := startServe(t)
	join := func(name string) *client.Conn { // it is in the chat once it has got its own message
		c := dial(t, "ws://"+addr+"/chat", nil)
		c.SendText(name)
		receive(t, c, wire.Text, name)
		return c
	}
	alice := join("alice")
	bob := join("bob")
	receive(t, alice, wire.Text, "bob")
	elsewhere := dial(t, "ws://"+addr+"/echo", nil)
	alice.SendText("hello")
	receive(t, alice, wire.Text, "hello")
	receive(t, bob, wire.Text, "hello")
	elsewhere.SendText("not in the chat")
	receive(t, elsewhere, wire.Text, "not in the chat")
	bob.SendText("hello yourself")
	receive(t, alice, wire.Text, "hello yourself")
	receive(t, bob, wire.Text, "hello yourself")
}

func TestOtherOriginsAreRefusedUnlessNamed(t *testing.T) {
	strict, _ := startServe(t)
	open, _ := startServe(t, "-origin", "https://app.example")
	cfg := &client.Config{Header: map[string][]string{"Origin": {"https://app.example"}}}
	var refused *client.HandshakeError
	if _, err := client.Dial(t.Context(), "ws://"+strict+"/echo", cfg); !errors.As(err, &refused) || refused.Response.Status != 403 {
		t.Errorf("an origin that was not named: %v", err)
	}
	dial(t, "ws://"+open+"/echo", cfg)
}

func TestMessageLimitOfServe(t *testing.T) {
	addr, _ := startServe(t, "-max-message", "10")
	c := dial(t, "ws://"+addr+"/echo", nil)
	c.SendText("12345678901")
	var closed *client.CloseError
	if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != wire.MessageTooBig {
		t.Errorf("got %v", err)
	}
}

// 6455-7.3-a
func TestInterruptClosesConnectionsWithGoingAway(t *testing.T) {
	addr, stop := startServe(t)
	echo, chat := dial(t, "ws://"+addr+"/echo", nil), dial(t, "ws://"+addr+"/chat", nil)
	code := make(chan exitCode, 1)
	go func() { code <- stop() }()
	for _, c := range []*client.Conn{echo, chat} {
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != wire.GoingAway {
			t.Errorf("got %v", err)
		}
	}
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
}

func TestServeOverTLS(t *testing.T) {
	cert, key := certificate(t)
	addr, _ := startServe(t, "-tls-cert", cert, "-tls-key", key)
	url := "wss://" + addr + "/echo"

	r := runWith(t, strings.NewReader("over TLS\n"), "connect", "-cacert", cert, "-expect", "1", url)
	if r.code != exitOK || r.out != "over TLS\n" {
		t.Errorf("with the certificate: %+v", r)
	}
	if r := runWith(t, strings.NewReader(""), "connect", url); r.code != exitTLS {
		t.Errorf("without the certificate: %+v", r)
	}
	r = runWith(t, strings.NewReader("whoever you are\n"), "connect", "-insecure", "-expect", "1", url)
	if r.code != exitOK || r.out != "whoever you are\n" {
		t.Errorf("-insecure: %+v", r)
	}
	if r := runWith(t, strings.NewReader(""), "connect", "ws://"+addr+"/echo"); r.code == exitOK {
		t.Errorf("without TLS: %+v", r)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key to files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	cert, _, err := testcert.New("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if certFile, keyFile, err = testcert.Files(t.TempDir(), cert); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

func TestServeSaysWhyItCannotListen(t *testing.T) {
	addr, _ := startServe(t)
	if r := runWith(t, nil, "serve", "-addr", addr); r.code != exitUnreachable || !strings.Contains(r.err, addr) {
		t.Errorf("%+v", r)
	}
}

func TestURLOfTheListener(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv6zero, Port: 8080}
	for asked, want := range map[string]string{
		":8080": "http://localhost:8080/", "0.0.0.0:8080": "http://localhost:8080/", "[::]:0": "http://localhost:8080/",
		"localhost:0": "http://localhost:8080/", "[::1]:8080": "http://[::1]:8080/", "example.com:http": "http://example.com:8080/",
	} {
		if got := (&serveOptions{addr: asked}).pageURL(bound); got != want {
			t.Errorf("%s: %s, want %s", asked, got, want)
		}
	}
}

// Clients that resolve localhost to ::1 and try no other address could not
// connect (nodejs/node#40702, websockets/ws#2078, websockets/wscat#144).
func TestLocalhostIsEveryLoopbackAddress(t *testing.T) {
	t.Parallel()
	addr, stop := startServe(t, "-addr", "localhost:0")
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "localhost" {
		t.Fatal(addr, err)
	}
	n := 0
	for _, ip := range []string{"127.0.0.1", "::1"} {
		if !canListen(ip) { // the system has no IPv6
			continue
		}
		n++
		c := dial(t, "ws://"+net.JoinHostPort(ip, port)+"/echo", nil)
		c.SendText(ip)
		receive(t, c, wire.Text, ip)
		check.OK(t, c.Close(wire.NormalClosure, "")) // or the server waits for its answer to a Close
	}
	if n == 0 {
		t.Error("there is no loopback address")
	}

	// If the port is in use on one address, it is not served on the other
	// alone.
	if _, err := listenTCP("localhost:" + port); err == nil {
		t.Error("two listeners got the port")
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	ln, err := listenTCP("LOCALHOST:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() {
		_, err := ln.Accept()
		accepted <- err
	}()
	ln.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := listenTCP("localhost"); err == nil {
		t.Error("an address without a port was accepted")
	}
}
