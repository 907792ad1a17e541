package interop

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestPage uses the page of `fibersock serve` as a visitor would, in a real browser (WHATWG-2, WHATWG-9). Its elements are named at the top of the page's app.js.
func TestPage(t *testing.T) {
	v := visit{startBrowser(t), startServe(t)}
	t.Run("echoes text", v.echoesText)
	t.Run("echoes 1 MiB of binary", v.echoesBinary)
	t.Run("times 100 echoes", v.timesEchoes)
	t.Run("compresses", v.compresses)
	t.Run("chats across two tabs", v.chats)
	t.Run("sees its own status code back", v.seesItsOwnStatusCode)
	t.Run("sees the server's status code", v.seesTheServersStatusCode)
	t.Run("is refused by a server of another origin", v.isRefused)
	t.Run("sees the server going away", v.seesTheServerGoingAway)
}

// A visit is a browser at a serving's page.
type visit struct {
	browser *browser
	serving
}

func (v visit) echoesText(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.set("message", nonASCII)
	p.click("send-text")
	p.until(entry("in", "text", "data-rtt") + `?.querySelector("bdi").textContent === ` + js(nonASCII))
	p.screenshot("echo.png")
}

func (v visit) echoesBinary(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.set("binary-size", "1048576")
	p.click("send-binary")
	p.until(entry("in", "binary", `data-size="1048576"`) + `?.dataset.verified === "true"`)
	p.screenshot("binary.png")
}

func (v visit) timesEchoes(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.click("measure")
	p.until(`Number(` + entry("event", "measure", "data-rtt") + `?.dataset.rtt) > 0`)
}

// The page shows the negotiated extension and the bytes saved.
func (v visit) compresses(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	p.until(`document.getElementById("agreed-extensions").textContent === "permessage-deflate; client_max_window_bits=12"`)
	for range 3 {
		p.set("message", strings.Repeat("all work and no play ", 100))
		p.click("send-text")
	}
	p.until(`/[0-9]+ % saved/.test(document.getElementById("compression-saved").textContent)`)
	p.screenshot("compression.png")
}

func (v visit) chats(t *testing.T) {
	ada, grace := v.browser.open(t, v.url+"#chat"), v.browser.open(t, v.url+"#chat")
	for name, p := range map[string]*page{"Ada": ada, "Grace ☕": grace} {
		p.set("chat-name", name)
		p.click("chat-join")
		p.until(state("chat-state", "open"))
	}
	says := func(from *page, text string) {
		t.Helper()
		from.set("chat-text", text)
		from.click("chat-send")
		for _, p := range []*page{ada, grace} {
			p.until(fmt.Sprintf(`[...document.querySelectorAll("#chat-log li")].some((li) => li.innerText.includes(%s) && li.dataset.mine === %s)`,
				js(text), js(fmt.Sprint(p == from))))
		}
	}
	says(ada, "Grüß dich, Grace! 🙂")
	says(grace, "<b>Hello</b> Ada, привет")
	ada.screenshot("chat-ada.png")
	grace.screenshot("chat-grace.png")
}

// The browser reports the page's status code in the end, since the server
// echoes it (RFC 6455, Section 5.5.1).
func (v visit) seesItsOwnStatusCode(t *testing.T) {
	p := v.browser.open(t, v.url)
	for _, c := range []struct {
		code, reason string
		seen         wire.StatusCode
	}{
		{"", "", wire.NoStatusReceived},
		{"1000", "done", wire.NormalClosure},
		{"3000", "", wire.Unauthorized},
		{"4000", "Grüße, 世界", 4000},
		{"4999", strings.Repeat("r", 123), 4999},
	} {
		p.connect()
		p.set("close-code", c.code)
		p.set("close-reason", c.reason)
		p.click("close")
		p.sawClose(c.seen, "")
		p.click("clear")
	}
}

func (v visit) seesTheServersStatusCode(t *testing.T) {
	p := v.browser.open(t, v.url)
	closer := startCloser(t, strings.TrimSuffix(v.url, "/"))
	for _, c := range []struct {
		code   wire.StatusCode
		seen   wire.StatusCode
		reason string
	}{
		{0, wire.NoStatusReceived, ""},
		{wire.NormalClosure, wire.NormalClosure, "done"},
		{wire.GoingAway, wire.GoingAway, ""},
		{wire.UnsupportedData, wire.UnsupportedData, "text only"},
		{wire.PolicyViolation, wire.PolicyViolation, "no"},
		{wire.InternalError, wire.InternalError, ""},
		{4000, 4000, "Grüße, 世界"},
		{4999, 4999, strings.Repeat("r", 123)},
	} {
		p.set("url", closer)
		p.connect()
		p.set("message", fmt.Sprintf("%d %s", int(c.code), c.reason))
		p.click("send-text")
		p.sawClose(c.seen, c.reason)
		p.click("clear")
	}
	p.screenshot("closed.png")
}

func (v visit) isRefused(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.set("url", startCloser(t))
	p.click("connect")
	p.until(state("state", "failed"))
}

// RFC 6455, Section 7.4.1: 1001 when a server shuts down.
func (v visit) seesTheServerGoingAway(t *testing.T) {
	p := v.browser.open(t, v.url)
	p.connect()
	check.Must(t, v.Process.Signal(syscall.SIGTERM))
	p.sawClose(wire.GoingAway, "")
}

// connect uses the echo console's form.
func (p *page) connect() {
	p.t.Helper()
	p.click("connect")
	p.until(state("state", "open"))
}

// sawClose waits for the entry of a clean close.
func (p *page) sawClose(code wire.StatusCode, reason string) {
	p.t.Helper()
	p.until(entry("event", "close", "data-clean=true") + `?.dataset.code === ` + js(fmt.Sprint(int(code))))
	p.until(entry("event", "close", "data-clean=true") + `.dataset.reason === ` + js(reason))
}

// entry is the first entry of the console's log with this direction, type and attribute, in JavaScript.
func entry(dir, kind, attribute string) string {
	return fmt.Sprintf("document.querySelector('#log li[data-dir=%s][data-type=%s][%s]')", dir, kind, attribute)
}

// state is a JavaScript expression: the badge id shows this state.
func state(id, value string) string {
	return fmt.Sprintf("document.getElementById(%s).dataset.state === %s", js(id), js(value))
}

// A serving is a running `fibersock serve`.
type serving struct {
	*process
	binary string // the command
	url    string // of its page, with the slash
}

// startServe builds the command and serves with it for the rest of t.
func startServe(t *testing.T) serving {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "fibersock")
	build := exec.Command("go", "build", "-o", binary, "./cmd/fibersock")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := start(t, exec.Command(binary, "serve", "-addr", "127.0.0.1:0"))
	return serving{p, binary, "http://" + p.errors.await(t, "http://")}
}

// startCloser serves connections that are closed with the status code and reason that the first message names. It accepts pages from origins.
func startCloser(t *testing.T, origins ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	listenDirectly(t, &server.Server{Origins: origins, Handler: server.Handler{
		Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
			code, reason, _ := strings.Cut(string(p), " ")
			var number int
			fmt.Sscan(code, &number)
			check.OKf(t, c.Close(wire.StatusCode(number), reason), "close %q", p)
		},
	}}, ln)
	return "ws://" + ln.Addr().String() + "/"
}
